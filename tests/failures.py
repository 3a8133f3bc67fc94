#!/usr/bin/env python3
"""Checks tests/failures.md: every number F1 … F45 once, every test that it names is there and is run.

The check is tried on tables with a fault as well.

usage: failures.py TESTS_FOLDER
"""
import pathlib
import re
import sys

NUMBERS = [f"F{number}" for number in range(1, 46)]
NAMED = re.compile(r"(\w+_test): ((?:\w+(?:, )?)+)")


def complaints(folder, table):
    rows = [line.strip("|").split("|") for line in table.splitlines() if re.match(r"\| F\d", line)]
    numbers = [row[0].strip() for row in rows]
    for number in NUMBERS:
        if numbers.count(number) != 1:
            yield f"{number} stands there {numbers.count(number)} times"
    yield from (f"{number} is not a number that is known" for number in numbers if number not in NUMBERS)
    build = (folder / "meson.build").read_text(encoding="utf-8")
    for row in rows:
        tests = [(file, name) for file, names in NAMED.findall(row[-1]) for name in names.split(", ")]
        if len(NAMED.findall(row[-1])) < len(re.findall(r"\w+_test\b", row[-1])):
            yield f"{row[0].strip()}: a file is named without its tests"
        if len(row) != 4 or not tests or not all(cell.strip() for cell in row):
            yield f"{row[0].strip()}: a row has a number, a failure, what happens, and at least one test"
        for file, name in tests:
            path = folder / "unit" / f"{file}.c"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            if not re.search(rf"^static void {name}\(void \*\*", text, re.M):
                yield f"{row[0].strip()}: {file}.c has no test {name}"
            elif not re.search(rf"\b\w+\((?:\w+, )*{name}\)", text.rpartition("CMUnitTest")[2]):
                yield f"{row[0].strip()}: {file}.c does not run {name}"
            if f"'{file.removesuffix('_test')}'" not in build:
                yield f"{row[0].strip()}: {file} is not built"


def main():
    folder = pathlib.Path(sys.argv[1])
    table = (folder / "failures.md").read_text(encoding="utf-8")
    found = list(complaints(folder, table))
    for right, wrong in (("| F7 |", "| F8 |"), ("| F44 |", "| F45 |"), ("table_test: ", "tale_test: "),
                         ("attached_twice", "attached_thrice"), ("purge_test: ", "purge_test ")):
        if not list(complaints(folder, table.replace(right, wrong))):
            found.append(f"{right} replaced by {wrong} goes unnoticed")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
