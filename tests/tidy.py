#!/usr/bin/env python3
"""The style test: what a reader may rely on in this tree, checked by a machine.

usage: tidy.py --root DIR --generated NAME … --floor NUMBER FILE… [--floor NUMBER FILE… …]
       tidy.py --self-test

The floors come from engine/meson.build and ext/meson.build, the one place where sources are listed. Every rule is a
function from the tree to complaints; SELF_TESTS holds a small bad tree for each, so that every rule is seen to fail.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

LINE_COLUMNS_MAX = 120
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = {"engine": 600, "ext": 600, "tests": 800}  # the tests of one module stand together
TOP_LEVEL = {"ext", "engine", "sql", "tests", "amalgamation", "meson.build", "meson_options.txt", "README.md",
             "LICENSE", ".gitignore", ".gitattributes", ".ci", ".clang-format", ".clang-tidy", ".editorconfig"}
TEXT_SUFFIXES = {".c", ".h", ".py", ".sh", ".sql", ".md", ".build", ".txt", ".out"}
DATA_FILES = {"sql/demo/words-20k.txt"}
TABLES = {"tests/failures.md", "tests/planted.md"}  # rows of a table in Markdown cannot be broken

# A name banned in engine/ and ext/, why, and the files that may use it all the same.
BANNED = [
    (r"malloc|calloc|realloc|free|posix_memalign|aligned_alloc|strdup|strndup|asprintf", "allocate through memory.h",
     {"memory.c"}),
    (r"sprintf|vsprintf|strcpy|strcat|gets|strncpy|strncat", "unbounded or badly terminated", set()),
    (r"printf|vprintf|puts|putchar|perror|fprintf|fputs", "a library does not write to the terminal",
     {"meter.c"}),
    (r"atoi|atol|atof|strtok|alloca|exit|abort|system|popen|setlocale|rand|srand|time|clock|gettimeofday|localtime",
     "no errors, no state of the process, no clock and no chance", set()),
    (r"strtod|strtof", "depends on the locale", {"number.c"}),
    (r"lseek|fread|fwrite|fopen|fseek", "files are read and written by position, through os.h", set()),
]
# The operating system is reached through the seam only.
SEAM = re.compile(r"\b(open|openat|mmap|munmap|pread|pwrite|fsync|fdatasync|flock|unlink|unlinkat|rename|mkdir|opendir)"
                  r"\s*\(")
SEAM_FILES = {"os_posix.c"}
HOSTS = re.compile(r"(registry\.npmjs|pypi\.org|crates\.io|proxy\.golang|rubygems\.org|deb\.debian\.org)", re.I)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|home|root|Users|tmp/[a-z]+[-_]?\d)\b")
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|not imple" r"mented)\b")
PATTERNS = [("unfinished", MARKS), ("names a host", HOSTS), ("a path of one machine", MACHINE_PATHS)]
# Not meant: the text for sqlite3_declare_vtab, and a question about the connection.
SQL_WORDS = re.compile(r'"\s*(SELECT(?! 1 FROM pragma_)|INSERT INTO|DELETE FROM|UPDATE \S+ SET|'
                       r'(CREATE|DROP) (TABLE(?! x\()|INDEX))\b')
SHARED_MACROS = {"XXH_INLINE_ALL", "_GNU_SOURCE"}


class Source:
    """One C file: its lines, and its code with comments and strings blanked out (same lines, same columns)."""

    def __init__(self, name, text, floor=None, order=0):
        self.name, self.text, self.floor, self.order = name, text, floor, order
        self.base = name.rsplit("/", 1)[-1]
        self.lines = text.splitlines()
        self.code = blank(text)

    def line_of(self, position):
        return self.code.count("\n", 0, position) + 1


def blank(text):
    """Comments and the insides of string and character literals become blanks."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def spaces(match):
        word = match.group(0)
        inside = re.sub(r"[^\n]", " ", word)
        return inside if word.startswith("/") else word[0] + inside[1:-1] + word[-1]
    return pattern.sub(spaces, text)


def without_directives(code):
    """Preprocessor lines (with their continuations) become blanks: `#if` branches are all kept."""
    directive = r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*"
    return re.sub(directive, lambda found: re.sub(r"[^\n]", " ", found.group(0)), code, flags=re.M)


def top_level(source):
    """Yields (start, text before the brace or semicolon, opening, end) of each declaration outside all braces."""
    code = without_directives(source.code)
    start, position = 0, 0
    while position < len(code):
        if code[position] == ";":
            yield start, code[start:position], ";", position
            start = position + 1
        elif code[position] == "{":
            if re.match(r'\s*extern\s*""?\s*$', re.sub(r'"\s*\w*\s*"', '""', code[start:position])):
                start = position + 1
            else:
                end = matching_brace(code, position)
                yield start, code[start:position], "{", end
                following = re.match(r"[^;{]*;", code[end + 1:]) if not is_function(code[start:position]) else None
                start = position = end + 1 + (following.end() if following else 0)
                continue
        elif code[position] == "}":
            start = position + 1
        position += 1


def matching_brace(code, position):
    depth = 0
    for here in range(position, len(code)):
        depth += {"{": 1, "}": -1}.get(code[here], 0)
        if depth == 0:
            return here
    return len(code) - 1


def is_function(head):
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S).strip()
    return head.endswith(")") and "=" not in head


def declared_name(head):
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)|_Atomic\([^)]*\)", " ", head, flags=re.S)
    head = re.split(r"=|\[", head, maxsplit=1)[0]
    function = re.search(r"(\w+)\s*\(", head)
    pointer = re.search(r"\(\s*\*\s*(?:const\s+)?(\w+)", head)
    if pointer and function and pointer.start() <= function.end():
        return pointer.group(1)
    if function:
        return function.group(1)
    names = re.findall(r"\w+", head)
    return names[-1] if names else ""


def functions(source):
    """Yields (name, first line, line count)."""
    for start, head, opening, end in top_level(source):
        if opening == "{" and is_function(head):
            first = source.line_of(start + len(head) - len(head.lstrip()))
            yield declared_name(head), first, source.line_of(end) - first + 1


# --- rules: each takes a Tree and yields complaints -----------------------------------------------------------------

class Tree:
    def __init__(self, files, floors, generated=()):
        """files: name → text, relative to the root; floors: file name → floor, in order of listing."""
        self.files, self.generated = files, set(generated)
        self.floors = dict(floors)
        orders = {name: order for order, name in enumerate(self.floors)}
        self.sources = []
        for name, text in files.items():
            if name.endswith((".c", ".h")):
                twin = name[:-2] + ".c"
                key = name if name in self.floors else twin
                self.sources.append(Source(name, text, self.floors.get(key), orders.get(key, 0)))
        self.product = [source for source in self.sources if source.name.startswith(("engine/", "ext/"))]


def rule_lines(tree):
    for name, text in tree.files.items():
        if name in DATA_FILES:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            row = name in TABLES and line.startswith("|")
            if not (row or name.endswith(".out")) and len(line) > LINE_COLUMNS_MAX:
                yield f"{name}:{number}: {len(line)} columns, at most {LINE_COLUMNS_MAX}"
            if line != line.rstrip() and not name.endswith((".out", ".md")):
                yield f"{name}:{number}: blanks at the end of the line"
            if "\t" in line:
                yield f"{name}:{number}: a tab"


def rule_lengths(tree):
    for source in tree.sources:
        most = FILE_LINES_MAX.get(source.name.split("/", 1)[0], max(FILE_LINES_MAX.values()))
        if len(source.lines) > most:
            yield f"{source.name}: {len(source.lines)} lines, at most {most}"
        for name, line, count in functions(source):
            if count > FUNCTION_LINES_MAX:
                yield f"{source.name}:{line}: {name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def rule_marks(tree):
    for name, text in tree.files.items():
        for number, line in enumerate(text.splitlines(), 1):
            for what, pattern in PATTERNS:
                if name not in DATA_FILES and not name.endswith("tidy.py") and pattern.search(line):
                    yield f"{name}:{number}: {what}: {line.strip()[:80]}"


def rule_banned_calls(tree):
    for source in tree.product:
        for names, why, allowed in BANNED:
            if source.base in allowed:
                continue
            for found in re.finditer(r"(?<![\w.>])(" + names + r")\s*\(", source.code):
                yield f"{source.name}:{source.line_of(found.start())}: {found.group(1)}: {why}"
        if source.base not in SEAM_FILES and source.name.startswith("engine/"):
            for found in re.finditer(r"(?<![\w.>*])" + SEAM.pattern, source.code):
                yield f"{source.name}:{source.line_of(found.start())}: {found.group(1)}: only through os.h"


def rule_includes(tree):
    by_name = {source.name: source for source in tree.sources}
    for source in tree.product:
        for number, line in enumerate(source.lines, 1):
            found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not found:
                continue
            where, target = f"{source.name}:{number}", found.group(2)
            if target.startswith("sqlite3") and source.base != "sqlite_api.h":
                yield f"{where}: only ext/sqlite_api.h includes {target}"
            if target.endswith(".c"):
                yield f"{where}: includes a .c file"
            if found.group(1) == '"' and target not in tree.generated:
                path = os.path.normpath(os.path.join(os.path.dirname(source.name), target))
                if path not in by_name:
                    yield f"{where}: {target} is not there"
                else:
                    yield from floor_complaints(where, source, by_name[path])


def floor_complaints(where, source, target):
    if source.floor is None or target.floor is None:
        return
    if target.floor > source.floor:
        yield f"{where}: floor {source.floor} includes {target.base} of floor {target.floor}"
    elif target.floor == source.floor and source.base.endswith(".h") and target.order > source.order:
        yield f"{where}: {source.base} stands before {target.base} on floor {source.floor}"


def rule_listing(tree):
    names = {}
    for source in tree.product:
        if source.floor is None:
            yield f"{source.name}: not listed in meson.build"
        if source.base in names:
            yield f"{source.name}: the same file name as {names[source.base]}"
        names[source.base] = source.name
        if source.name.endswith(".h") and source.name in tree.floors and source.name[:-2] + ".c" in tree.files:
            yield f"{source.name}: listed although its .c is"
    builds = "\n".join(text for name, text in tree.files.items()
                       if name.endswith((".build", ".sh", ".py", ".md")) or name == ".ci/run")
    for name in tree.files:
        base = name.rsplit("/", 1)[-1]
        if name.startswith("tests/unit/") and base.endswith("_test.c") and f"'{base[:-7]}'" not in builds:
            yield f"{name}: no test in tests/meson.build"
        elif name.startswith("tests/sql/") and base.endswith(".sql") and f"'{base[:-4]}'" not in builds:
            yield f"{name}: not run by tests/meson.build"
        elif name.endswith((".py", ".sh")) and base not in builds:
            yield f"{name}: nothing runs it"
        elif name.startswith("tests/") and name.endswith((".c", ".h")) and not base.endswith("_test.c"):
            if base not in builds and not any(f'"{base}"' in source.text for source in tree.sources):
                yield f"{name}: nothing uses it"


def rule_headers(tree):
    for source in tree.sources:
        if source.name.endswith(".h"):
            guard = re.search(r"^#ifndef (\w+)\n#define (\w+)$", source.code, re.M)
            if not guard or guard.group(1) != guard.group(2):
                yield f"{source.name}: no include guard"
        elif source in tree.product and source.name[:-2] + ".h" in tree.files:
            own = source.base[:-2] + ".h"
            first = re.search(r'#\s*include\s+["<]([^">]+)[">]', source.text)
            if not first or first.group(1) != own:
                yield f"{source.name}: its own header {own} is not the first include"


def definitions(source):
    """Yields (kind, name) of what would clash in one translation unit."""
    undefined = set(re.findall(r"^\s*#\s*undef\s+(\w+)", source.code, re.M))
    for name in set(re.findall(r"^\s*#\s*define\s+(\w+)", source.code, re.M)) - undefined - SHARED_MACROS:
        yield "macro", name
    for name in set(re.findall(r"\b(?:struct|enum|union)\s+(\w+)\s*\{", source.code)):
        yield "tag", name
    for body in re.findall(r"\benum\b[^{;()]*\{([^}]*)\}", without_directives(source.code)):
        for name in re.findall(r"(?:^|,)\s*(\w+)", body):
            yield "enum constant", name
    statics = set()
    for _, head, _, end in top_level(source):
        if re.match(r"\s*(?:\w+\s+)*?static\b", head):
            after_body = re.match(r"\}\s*(?:const\s+)?(\w+)", source.code[end:])
            unnamed = re.search(r"\b(struct|enum|union)\s*$", head)
            statics.add(after_body.group(1) if unnamed and after_body else declared_name(head))
    for name in statics:
        yield "static", name


def rule_unique_names(tree):
    seen = {}
    for source in tree.product:
        for kind, name in definitions(source):
            other = seen.setdefault(name, (kind, source.name))
            if other[1] != source.name:
                yield f"{source.name}: {kind} {name} is also a {other[0]} in {other[1]}"


def rule_public_prefix(tree):
    for source in tree.product:
        for _, head, opening, _ in top_level(source):
            if opening == "{" and is_function(head) and not re.search(r"\bstatic\b", head):
                name = declared_name(head)
                if not name.startswith(("shx_", "sqlite3_shardex_init")):
                    yield f"{source.name}: {name} is visible between files and does not begin with shx_"


def rule_no_sql_in_c(tree):
    for source in tree.product:
        if source.name.startswith("ext/"):
            for number, line in enumerate(source.lines, 1):
                if SQL_WORDS.search(line):
                    yield f"{source.name}:{number}: SQL belongs into sql/: {line.strip()[:80]}"


def rule_top_level(tree):
    for name in sorted({name.split("/", 1)[0] for name in tree.files} - TOP_LEVEL):
        yield f"{name}: does not belong at the top level"
    for name in tree.files:
        if name.startswith(("engine/", "ext/")) and name.count("/") > 1:
            yield f"{name}: engine/ and ext/ are flat"


RULES = [rule_lines, rule_lengths, rule_marks, rule_banned_calls, rule_includes, rule_listing, rule_headers,
         rule_unique_names, rule_public_prefix, rule_no_sql_in_c, rule_top_level]

# --- every rule is seen to fail -------------------------------------------------------------------------------------

GUARDED = "#ifndef SHX_A_H\n#define SHX_A_H\n%s\n#endif\n"
GOOD = {
    "engine/a.h": GUARDED % "enum shx_a { SHX_A = 1 };\nint shx_a(int x);",
    "engine/a.c": '#include "a.h"\n/* free(1) */\nstatic const char *a_text = "malloc(";\n\n'
                  'static int a_one(int (*call)(int)) { return call(a_text[0]); }\n'
                  'int shx_a(int x) { return a_one(0) + x; }\n',
    "engine/meson.build": "files('a.c')\n",
}
SELF_TESTS = [
    (rule_lines, {"engine/a.c": "int shx_b;" + " " * 120 + "\n"}, "columns"),
    (rule_lines, {"engine/a.c": "\tint shx_b;\n"}, "a tab"),
    (rule_lengths, {"engine/a.c": "static int a_long(\n    int x) {\n" + "    x++;\n" * 70 + "}\n"}, "a_long has 73"),
    (rule_lengths, {"engine/a.c": "int shx_b;\n" * 601}, "601 lines"),
    (rule_lengths, {"tests/unit/a_test.c": "int shx_b;\n" * 801}, "801 lines"),
    (rule_marks, {"README.md": "see TO" + "DO\n"}, "unfinished"),
    (rule_marks, {"README.md": "get it from PyPI.org\n"}, "names a host"),
    (rule_marks, {"README.md": "see /home/me\n"}, "a path of one machine"),
    (rule_banned_calls, {"engine/a.c": "void shx_b(void) { free(0); }\n"}, "free: allocate"),
    (rule_banned_calls, {"engine/a.c": "void shx_b(void) { sprintf(0, 0); }\n"}, "sprintf: unbounded"),
    (rule_banned_calls, {"ext/b.c": 'void shx_b(void) { printf("x"); }\n'}, "printf: a library"),
    (rule_banned_calls, {"engine/a.c": "void shx_b(void) { fsync(1); }\n"}, "fsync: only through os.h"),
    (rule_includes, {"engine/a.c": "#include <sqlite3ext.h>\n"}, "only ext/sqlite_api.h"),
    (rule_includes, {"engine/a.c": '#include "b.h"\n', "engine/b.h": GUARDED % ""}, "floor 0 includes b.h of floor 5"),
    (rule_includes, {"engine/c.h": '#include "d.h"\n', "engine/d.h": ""}, "c.h stands before d.h"),
    (rule_includes, {"engine/a.c": '#include "a2.c"\n', "engine/a2.c": ""}, "includes a .c file"),
    (rule_listing, {"engine/new.c": ""}, "not listed"),
    (rule_listing, {"ext/a.c": ""}, "the same file name"),
    (rule_listing, {"tests/unit/lost_test.c": ""}, "no test in"),
    (rule_listing, {"tests/sql/lost.sql": ""}, "not run by"),
    (rule_listing, {"sql/lost.py": ""}, "nothing runs it"),
    (rule_headers, {"engine/a.h": "int shx_a(int x);\n"}, "no include guard"),
    (rule_headers, {"engine/a.c": "#include <stdio.h>\n"}, "not the first include"),
    (rule_unique_names, {"ext/b.c": "static int a_one(void);\n"}, "static a_one is also"),
    (rule_unique_names, {"ext/b.c": "static const char *const a_text[] = {\"x\"};\n"}, "static a_text is also"),
    (rule_unique_names, {"ext/b.c": "static const struct { int x; } a_text = {1};\n"}, "static a_text is also"),
    (rule_unique_names, {"ext/b.c": "#define SHX_A 1\n"}, "macro SHX_A is also"),
    (rule_unique_names, {"ext/b.c": "enum other { B, SHX_A };\n"}, "enum constant SHX_A is also"),
    (rule_public_prefix, {"engine/a.c": "int a_naked(void) { return 1; }\n"}, "a_naked is visible"),
    (rule_no_sql_in_c, {"ext/b.c": 'static const char *b_sql = "SELECT 1";\n'}, "SQL belongs"),
    (rule_top_level, {"notes.md": ""}, "notes.md: does not belong"),
    (rule_top_level, {"engine/sub/a.c": ""}, "are flat"),
]


def self_test():
    floors = {"engine/a.c": 0, "engine/c.c": 3, "engine/d.h": 3, "engine/b.h": 5, "ext/b.c": 5}
    failures = [f"{rule.__name__} complains about the good tree: {text}"
                for rule in RULES for text in rule(Tree(GOOD, floors))]
    for rule, change, expected in SELF_TESTS:
        complaints = list(rule(Tree({**GOOD, **change}, floors)))
        if not any(expected in text for text in complaints):
            failures.append(f"{rule.__name__} does not say «{expected}» about {list(change)}: {complaints}")
    tested = {rule for rule, _, _ in SELF_TESTS}
    failures += [f"{rule.__name__} has no self-test" for rule in RULES if rule not in tested]
    return failures


# --- the real tree --------------------------------------------------------------------------------------------------

def tracked_files(root):
    """The files that git knows or would add; without git (a source archive) all files outside build folders."""
    try:
        listing = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], check=True,
                                 capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listing = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        listing = [name for name in listing if not name.startswith(("build", ".git/"))]
    def text(name):
        return (root / name).read_text(encoding="utf-8") if is_text(name) else ""
    return {name: text(name) for name in listing if (root / name).is_file()}


def is_text(name):
    return pathlib.Path(name).suffix in TEXT_SUFFIXES or name == ".ci/run"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--root", type=pathlib.Path)
    parser.add_argument("--generated", nargs="*", default=[])
    parser.add_argument("--floor", nargs="+", action="append", default=[])
    options = parser.parse_args()
    if options.self_test:
        complaints = self_test()
    else:
        root = options.root.resolve()
        floors = {pathlib.Path(word).resolve().relative_to(root).as_posix(): int(floor[0])
                  for floor in options.floor for word in floor[1:]}
        tree = Tree(tracked_files(root), floors, options.generated)
        complaints = [text for rule in RULES for text in rule(tree)]
    print("\n".join(complaints) if complaints else "tidy")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
