#!/usr/bin/env python3
"""Guards the hot path: counts the instructions of fixed searches and compares them with the record in the tree.

usage: guard.py [--record] GUARD EXTENSION RECORD MACHINE COMPILER

Instructions are counted by valgrind (callgrind), inside the loop over the queries only: unlike time, they are the same
in every run. They do depend on the processor's family, the compiler and the SIMD level, so the record has a line for
each. A case that grew by more than TOLERANCE fails; one that shrank as much asks for a new record, so that the next
growth is measured from there. A change that is meant to cost more changes the record with it:

    ninja -C build guard-record

Exit status 77, for meson a skipped test: valgrind does not run here, or nothing is recorded for this compiler.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOLERANCE = 0.10
SKIPPED = 77
CASES = ("shards", "filter", "codes", "rows")
# No valgrind knows AVX-512; scalar is what every machine can compare.
LEVELS = {"x86_64": ("avx2", "scalar"), "aarch64": ("neon", "scalar")}
HEAD = f"""\
# Instructions of one query: machine, compiler, SIMD level, case, count. guard.py fails when one grows by more than
# {TOLERANCE:.0%}; `ninja -C build guard-record` writes this file anew.
"""


def valgrind_runs():
    try:
        done = subprocess.run(["valgrind", "--tool=none", "-q", "true"], capture_output=True, check=False)
        return done.returncode == 0
    except OSError:
        return False


def run(command, level):
    """What a program prints under a SIMD level: (stdout, stderr)."""
    environment = dict(os.environ, SHARDEX_SIMD=level)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def count(guard, extension, folder, case, level):
    """Instructions of one query of a case."""
    _, report = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                     "--toggle-collect=guard_answer_all", guard, case, extension, folder], level)
    collected = int(re.search(r"Collected : (\d+)", report).group(1))
    if collected == 0:
        sys.exit("nothing was counted: the program has no symbols")
    return collected // 100


def count_level(guard, extension, level):
    """{case: instructions}, or nothing where the machine lacks the level."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        version, _ = run([guard, "build", extension, folder], level)
        if f"({level})" not in version:
            print(f"{level}: not on this machine")
            return {}
        return {case: count(guard, extension, folder, case, level) for case in CASES}


def read_record(path):
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {tuple(words[:4]): int(words[4]) for words in lines}


def write_record(path, record):
    lines = [" ".join(key) + f" {value}\n" for key, value in record.items()]
    path.write_text(HEAD + "".join(lines), encoding="utf-8")


def judge(key, counted, recorded):
    """Prints a line about one case; whether it is within bounds."""
    change = counted / recorded - 1
    words = "" if abs(change) <= TOLERANCE else ": GREW" if change > 0 else ": shrank, please write a new record"
    print(f"{' '.join(key)}: {counted} instructions a query, recorded {recorded}, {change:+.1%}{words}")
    return change <= TOLERANCE


def main():
    arguments = [word for word in sys.argv[1:] if word != "--record"]
    guard, extension, record_name, machine, compiler = arguments
    path = pathlib.Path(record_name)
    if not valgrind_runs():
        print("Skipped: valgrind does not run here.")
        return SKIPPED
    record = read_record(path)
    recording = "--record" in sys.argv
    if not recording and not any(key[:2] == (machine, compiler) for key in record):
        print(f"Skipped: nothing is recorded for {machine} and {compiler}.")
        return SKIPPED
    fine = True
    for level in LEVELS.get(machine, ("scalar",)):
        for case, counted in count_level(guard, extension, level).items():
            key = (machine, compiler, level, case)
            if recording:
                record[key] = counted
            if key not in record:
                sys.exit(f"{' '.join(key)} is not recorded")
            fine = judge(key, counted, record[key]) and fine
    if recording:
        write_record(path, record)
    if not fine:
        print("The hot path costs more than recorded. If that is meant: ninja -C build guard-record")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
