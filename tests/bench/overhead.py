#!/usr/bin/env python3
"""What SQL costs above the engine: microseconds of overhead.c, instructions of the same by valgrind.

usage: overhead.py OVERHEAD EXTENSION SET_FOLDER WORK_FOLDER

The engine's share is what stands inside shx_search; the microseconds above it are the query's, by that share. valgrind
knows no AVX-512, so instructions are those of AVX2 (SHARDEX_SIMD); the microseconds are of the machine as it is.
"""
import os
import re
import subprocess
import sys

QUERIES = 300
KINDS = {"plain": "ten rows of an ordinary table", "small": "a shardex table of ten rows",
         "large": "the whole set, recall 0.95"}


def instructions(command, function):
    """Instructions a query inside a function, or None where valgrind does not run."""
    environment = dict(os.environ, SHARDEX_SIMD="avx2")
    try:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                               f"--toggle-collect={function}"] + command, capture_output=True, text=True,
                              env=environment, check=False)
    except OSError:
        return None
    found = re.search(r"Collected : (\d+)", done.stderr)
    return int(found.group(1)) // QUERIES if done.returncode == 0 and found else None


def main():
    command = sys.argv[1:]
    timed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"{'ten rows of':34} {'us':>8} {'above':>8} {'instructions':>14} {'engine':>10} {'above':>10}")
    for kind, microseconds in zip(timed[::2], map(float, timed[1::2])):
        whole = instructions(command + [kind], "overhead_answer_all")
        engine = 0 if kind == "plain" or not whole else instructions(command + [kind], "shx_search")
        cells = [f"{microseconds:8.1f}"]
        if whole:
            above = whole - engine
            cells += [f"{microseconds * above / whole:8.1f}", f"{whole:14}", f"{engine:10}", f"{above:10}"]
        print(f"{KINDS[kind]:34}", *cells, flush=True)


if __name__ == "__main__":
    main()
