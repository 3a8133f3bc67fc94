#!/usr/bin/env python3
"""Writes the single-file distribution, shardex.c and shardex.h, from the sources in floor order.

usage: amalgamate.py --root DIR --output DIR [--generated FILE …] --floor NUMBER FILE… [--floor NUMBER FILE… …]

Every project header is inlined where it is first included, every source follows in the given order, `#line` marks name
the original files relative to the root. The output depends on the contents of the files and on nothing else: no time,
no path of this machine, so two runs are byte-identical.
"""
import argparse
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
PUBLIC_HEADER = "shardex.h"
HEAD = """\
/* shardex {version}: vector search inside SQLite, in one file. Made by amalgamation/amalgamate.py; do not edit.
**
** Loadable extension:  cc -O2 -fPIC -shared -fvisibility=hidden -ffp-contract=off shardex.c -o shardex.so -lpthread -lm
** Linked into a host:  add -DSQLITE_CORE, and call sqlite3_auto_extension((void (*)(void))sqlite3_shardex_init).
** Needs the headers of SQLite (3.38 or later) and of xxHash.
**
{license}
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
"""


def arguments(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--generated", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--floor", nargs="+", action="append", required=True)
    return parser.parse_args(words)


class Amalgamation:
    def __init__(self, root, generated):
        self.root = root.resolve()
        self.generated = {path.name: path.resolve() for path in generated}
        self.inlined = set()
        self.lines = []

    def name(self, path):
        """The file's name as it stands in #line marks: relative to the root, or bare when it is generated."""
        return path.relative_to(self.root).as_posix() if path not in self.generated.values() else path.name

    def resolve(self, including, target):
        path = (including.parent / target).resolve()
        if path.exists():
            return path
        if target in self.generated:
            return self.generated[target]
        sys.exit(f"amalgamate.py: {self.name(including)} includes {target}, which is not there")

    def add(self, path):
        self.inlined.add(path)
        name = self.name(path)
        self.lines.append(f'#line 1 "{name}"')
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                self.lines.append(line)
                continue
            header = self.resolve(path, found.group(1))
            if header not in self.inlined:
                self.add(header)
            self.lines.append(f'#line {number + 1} "{name}"')


def public_header(sources):
    for path in sources:
        if path.name == PUBLIC_HEADER:
            return path
    sys.exit(f"amalgamate.py: {PUBLIC_HEADER} is not among the sources")


def main():
    options = arguments(sys.argv[1:])
    sources = [pathlib.Path(word).resolve() for floor in options.floor for word in floor[1:]]
    header = public_header(sources)
    text = header.read_text(encoding="utf-8")
    version = re.search(r'#define SHARDEX_VERSION "([^"]+)"', text).group(1)
    license_text = (options.root / "LICENSE").read_text(encoding="utf-8").strip()

    one_file = Amalgamation(options.root, options.generated)
    for path in sources:
        if path.suffix == ".c":
            one_file.add(path)
    commented = "\n".join("** " + line if line else "**" for line in license_text.splitlines())
    head = HEAD.format(version=version, license=commented)

    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "shardex.c").write_text(head + "\n".join(one_file.lines) + "\n", encoding="utf-8")
    (options.output / PUBLIC_HEADER).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
