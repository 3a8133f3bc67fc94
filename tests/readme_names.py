#!/usr/bin/env python3
"""Checks that what a user can type stands in the tables of README.md, and nothing else: functions, options of
CREATE VIRTUAL TABLE, commands, hidden columns, settings; and that ext/figures.h describes each figure of shardex_stats.

The names come from the tables in the sources by which they are recognised. The check is tried on a README with a fault
as well.

usage: readme_names.py ROOT
"""
import pathlib
import re
import sys

WORD = r"[a-z][\w-]*"
FUNCTION_FILES = ("vector_functions", "vector_each", "info", "backup", "config", "stats",
                  "shard_list", "vector_reader", "ulid")


def block(source, start):
    """The initialiser that begins with `start`, up to its closing brace at the start of a line, or on the same line."""
    begin = source.index(start)
    return source[begin:re.compile(r"\};").search(source, begin).end()]


def names_in_code(read):
    declare, command, config = read("ext/declare.c"), read("ext/command.c"), read("ext/config.c")
    functions = "".join(read(f"ext/{name}.c") for name in FUNCTION_FILES)
    registered = re.findall(r'\{"((?:vec|shardex)_\w+)", \d', functions)
    registered += re.findall(r'sqlite3_create_(?:function|module)_v2\([^;"]*"(shardex_\w+)"', functions)
    registered += re.findall(r'\.name = "((?:vec|shardex)_\w+)"', functions)
    return {
        "function": registered,
        "option": re.findall(r'\{"(\w+)", [\w-]+, \w+\}', block(declare, "declare_options[DECLARE_OPTION_COUNT] = {")),
        "command": re.findall(rf'\{{"({WORD})", \w+\}}', block(command, "COMMANDS[] = {")),
        "hidden column": ["name"] + re.findall(r'"(\w+)"', block(declare, "declare_hidden[] = {")),
        "setting": re.findall(r'\[SHX_CONFIG_\w+\] = \{"(\w+)"', block(config, "config_entries[SHX_CONFIG_KEYS] = {")),
    }


# What of the code in a row's first cell is a name.
SPELLED = {"function": r"(?:vec|shardex)_\w+", "option": r"\w+(?==)", "command": WORD, "hidden column": WORD,
           "setting": WORD}


def names_in_readme(readme, kind):
    table = re.search(rf"^\| {kind} \|.*\n\| --- .*\n((?:\|.*\n)+)", readme, re.M)
    cells = [row.split("|")[1] for row in table.group(1).splitlines()] if table else []
    return [name for cell in cells for code in re.findall(r"`([^`]*)`", cell)
            for name in re.findall(SPELLED[kind], code)]


def complaints(read, readme):
    for kind, known in names_in_code(read).items():
        listed = names_in_readme(readme, kind)
        if len(known) < 3 or len(set(known)) != len(known):
            yield f"the names of the {kind}s are not where they were: {known}"
        yield from (f"README.md: the {kind} {name} stands in no table" for name in known if name not in listed)
        yield from (f"README.md: there is no {kind} {name}" for name in listed if name not in known)
    figures = re.findall(r'\{"(\w+)", "[^"]*", [\w(]', read("ext/figures.c"))
    described = re.findall(r"^\*\* {5}(\w+) {2,}\S", read("ext/figures.h"), re.M)
    if len(figures) < 20:
        yield f"the names of the figures are not where they were: {figures}"
    yield from (f"ext/figures.h does not say what {name} is" for name in figures if name not in described)
    yield from (f"ext/figures.h: there is no figure {name}" for name in described if name not in figures)


def main():
    root = pathlib.Path(sys.argv[1])

    def read(name):
        return (root / name).read_text(encoding="utf-8")
    readme = read("README.md")
    found = list(complaints(read, readme))
    for right, wrong in (("| `gc` |", "| `gone` |"), ("`recall=0.95`", "`recal=0.95`"), ("`vec_type(x)`", "`x`"),
                         ("| `exact` |", "| |"), ("| `any_vfs` |", "| `vfs` |")):
        if not list(complaints(read, readme.replace(right, wrong, 1))):
            found.append(f"{right} replaced by {wrong} goes unnoticed")
    print("\n".join(found) if found else "every name has its row")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
