#!/usr/bin/env python3
"""Turns sql/statements.sql into a C header: python3 sql/embed.py INPUT OUTPUT.

Each block `-- name: read_state` becomes `#define SHX_SQL_READ_STATE "…"`, without comments, with single spaces and
without the final semicolon. A leading space of a block is kept: fragments begin with it. The same input gives the same
bytes.
"""
import re
import sys


def blocks(text):
    """Yields (name, statement) for every named block."""
    name, lines = None, []
    for line in text.splitlines():
        started = re.fullmatch(r"-- name: ([a-z][a-z0-9_]*)", line)
        if started or not line.startswith("--"):
            if started:
                if name:
                    yield name, "\n".join(lines)
                name, lines = started.group(1), []
            elif name:
                lines.append(line)
            elif line.strip():
                sys.exit(f"text outside of a block: {line}")
    if name:
        yield name, "\n".join(lines)


def one_line(name, statement):
    """The statement with single spaces, as the inside of a C string literal."""
    statement = statement.rstrip()
    if not statement.endswith(";"):
        sys.exit(f"{name}: no final semicolon")
    statement = re.sub(r"\s+", " ", statement.lstrip("\n")[:-1]).replace("( ", "(").replace(" )", ")")
    return statement.replace("\\", "\\\\").replace('"', '\\"')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    output = ["/* Made from sql/statements.sql by sql/embed.py; do not edit. */", "#ifndef SHX_STATEMENTS_H",
              "#define SHX_STATEMENTS_H", ""]
    seen = set()
    for name, statement in blocks(text):
        if name in seen:
            sys.exit(f"{name}: defined twice")
        seen.add(name)
        output += [f"#define SHX_SQL_{name.upper()} \\", f'    "{one_line(name, statement)}"', ""]
    output += ["#endif", ""]
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(output))


if __name__ == "__main__":
    main()
