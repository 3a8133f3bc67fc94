#!/usr/bin/env python3
"""Runs SQL in the sqlite3 shell with the extension loaded and compares the transcript with what is expected.

usage: run_sql.py [--update] EXTENSION SCRIPT.sql     compares with SCRIPT.out
       run_sql.py [--update] EXTENSION README.md      runs each ```sql block; the ```text block after it is expected

A transcript holds each statement as it was typed (.echo), what it printed, and its error message. Each run starts in a
folder of its own, empty but for a link to the extension, with the database `test.db`; the blocks of a README share one,
in order. In a script EXTENSION stands for the extension's path and SECOND_PROCESS for a sqlite3 shell that has loaded
it. What the environment variable SHELL_PRELOAD names (the sanitizers' libraries) is loaded into the shell first. With
--update the expected text is replaced by what was seen: read the difference before you believe it.
"""
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Where an error stands depends on the version of the shell; what it says does not.
ERROR_PREFIX = re.compile(r"^(?:Runtime|Parse) error(?: near line \d+)?: |^Error: near line \d+: ", re.M)
ERROR_MARKER = re.compile(r"^.*\n *\^--- error here\n", re.M)
BLOCKS = re.compile(r"```sql\n(.*?)```\n\n```text\n(.*?)```", re.S)


def shell(extension, script):
    """What the shell prints, errors in place (stdbuf keeps the two streams in order)."""
    with tempfile.TemporaryDirectory() as folder:
        extension = pathlib.Path(extension).resolve()
        pathlib.Path(folder, extension.name).symlink_to(extension)
        path = "./" + extension.stem  # the shell takes no path with a space
        process = f"sqlite3 -batch -init /dev/null -cmd '.load {path}'"
        command = ["stdbuf", "-o0", "sqlite3", "-batch", "-init", "/dev/null", "test.db"]
        script = script.replace("SECOND_PROCESS", process).replace("EXTENSION", path)
        environment = {**os.environ, "LD_PRELOAD": os.environ.get("SHELL_PRELOAD", "")}
        run = subprocess.run(command, cwd=folder, env=environment, encoding="utf-8", check=False,
                             input=f".load {path}\n{script}",
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode < 0:
        return run.stdout + f"(the shell was ended by signal {-run.returncode})\n"
    seen = run.stdout.replace(process, "SECOND_PROCESS").replace(path, "EXTENSION")
    return ERROR_PREFIX.sub("Error: ", ERROR_MARKER.sub("", seen))


def compare(name, expected, seen):
    names = name + " expected", "seen"
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), seen.splitlines(True), *names))
    return expected == seen


def run_script(extension, path, update):
    expected_path = path.with_suffix(".out")
    seen = shell(extension, ".echo on\n" + path.read_text(encoding="utf-8"))
    if update:
        expected_path.write_text(seen, encoding="utf-8")
    return compare(path.name, expected_path.read_text(encoding="utf-8"), seen)


def run_readme(extension, path, update):
    text = path.read_text(encoding="utf-8")
    blocks = BLOCKS.findall(text)
    mark = "-- end of block --"
    output = shell(extension, ".mode table\n" + "".join(f"{sql}.print {mark}\n" for sql, _ in blocks))
    seen = output.split(mark + "\n")[:-1]
    if len(seen) != len(blocks) or not blocks:
        print(f"{path.name}: {len(blocks)} blocks, {len(seen)} of them ran:\n{output}")
        return False
    if update:
        answers = iter(seen)
        path.write_text(BLOCKS.sub(lambda found: f"```sql\n{found.group(1)}```\n\n```text\n{next(answers)}```", text),
                        encoding="utf-8")
        return True
    return all([compare(f"{path.name}, block {number},", expected, one)
                for number, ((_, expected), one) in enumerate(zip(blocks, seen), 1)])


def main():
    words = [word for word in sys.argv[1:] if word != "--update"]
    extension, path = words[0], pathlib.Path(words[1])
    run = run_readme if path.suffix == ".md" else run_script
    return 0 if run(extension, path, "--update" in sys.argv) else 1


if __name__ == "__main__":
    sys.exit(main())
