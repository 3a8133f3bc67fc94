#!/usr/bin/env python3
"""Checks the list of deliberate defects: numbers from 1 on, at least twenty, each once in the sources, its tests built,
and caught in planted.md, which planted.sh has written.

The check is tried on lists with a fault as well.

usage: planted.py ROOT
"""
import pathlib
import re
import sys

AT_LEAST = 20


def complaints(listed, table, sources, build):
    rows = [[cell.strip() for cell in line.split("|")] for line in listed.splitlines() if not line.startswith("#")]
    numbers = [row[0] for row in rows]
    used = re.findall(r"\bSHX_PLANTED\((\d+)\)", sources)
    caught = dict(re.findall(r"^\| (\d+) \| .* \| (\w+_test: \w+|[\w.]+) \|$", table, re.M))
    if numbers != [str(number) for number in range(1, len(rows) + 1)] or len(rows) < AT_LEAST:
        yield "the numbers go up from 1 without a gap, and there are at least twenty"
    for row in rows:
        if len(row) != 3 or not all(row):
            yield f"{row[0]}: a row has a number, a defect and tests"
            continue
        number, defect, tests = row
        if used.count(number) != 1:
            yield f"{number}: stands {used.count(number)} times in the sources"
        yield from (f"{number}: there is no test {test}" for test in tests.split() if f"'{test}'" not in build)
        if caught.get(number, "nothing") == "nothing" or f"| {number} | {defect} |" not in table:
            yield f"{number}: planted.md does not say what caught it"
    yield from (f"{number}: is in the sources and not in the list" for number in used if number not in numbers)
    yield from (f"{number}: is in planted.md and not in the list" for number in caught if number not in numbers)


def main():
    root = pathlib.Path(sys.argv[1])
    listed = (root / "tests" / "planted.txt").read_text(encoding="utf-8")
    table = (root / "tests" / "planted.md").read_text(encoding="utf-8")
    sources = "\n".join(path.read_text(encoding="utf-8") for folder in ("engine", "ext")
                        for path in sorted((root / folder).glob("*.[ch]")))
    build = (root / "tests" / "meson.build").read_text(encoding="utf-8")
    found = list(complaints(listed, table, sources, build))
    faults = [(listed.replace("\n3 ", "\n4 "), table, sources),
              (listed.replace("| wal\n", "| whale\n"), table, sources),
              (listed, re.sub(r"^\| 2 \|", "| 99 |", table, flags=re.M), sources),
              (listed, table.replace("_test: ", "_test "), sources),
              (listed, table, sources.replace("SHX_PLANTED(7)", "SHX_PLANTED(8)")), ("", table, sources)]
    found += [f"fault {number} of the check's own goes unnoticed" for number, fault in enumerate(faults)
              if not list(complaints(*fault, build))]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
