#!/usr/bin/env python3
"""What SQL costs above the engine: microseconds of overhead.c, instructions of the same by valgrind.

usage: overhead.py OVERHEAD EXTENSION SET_FOLDER WORK_FOLDER

The engine's share is what stands inside shx_search; the microseconds above it are the query's, by that share. A virtual
table that has its rows ready costs what SQLite takes for itself. valgrind knows no AVX-512, so instructions are those
of AVX2 (SHARDEX_SIMD); the microseconds are of the machine as it is.
"""
import os
import re
import subprocess
import sys
import tempfile

QUERIES = 300
KINDS = {"plain": "ten rows of an ordinary table", "ready": "a virtual table that has them ready",
         "small": "a shardex table of ten rows", "large": "the whole set, recall 0.95"}


def instructions(command):
    """Instructions a query, and those of them inside shx_search; None where valgrind does not run."""
    environment = dict(os.environ, SHARDEX_SIMD="avx2")
    with tempfile.NamedTemporaryFile() as profile:
        try:
            done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}",
                                   "--toggle-collect=overhead_answer_all"] + command, capture_output=True, text=True,
                                  env=environment, check=False)
            report = subprocess.run(["callgrind_annotate", "--inclusive=yes", profile.name], capture_output=True,
                                    text=True, check=False).stdout
        except OSError:
            return None
    whole = re.search(r"Collected : (\d+)", done.stderr)
    engine = re.search(r"^\s*([\d,]+) .*:shx_search\b", report, re.MULTILINE)
    if done.returncode != 0 or not whole or whole.group(1) == "0":
        return None
    return int(whole.group(1)) // QUERIES, int(engine.group(1).replace(",", "")) // QUERIES if engine else 0


def main():
    command = sys.argv[1:]
    timed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(f"{'ten rows of':36} {'us':>8} {'above':>8} {'instructions':>14} {'engine':>10} {'above':>10}")
    for kind, microseconds in zip(timed[::2], map(float, timed[1::2])):
        cells = [f"{microseconds:8.1f}"]
        counted = instructions(command + [kind])
        if counted:
            whole, engine = counted
            cells += [f"{microseconds * (whole - engine) / whole:8.1f}", f"{whole:14}", f"{engine:10}",
                      f"{whole - engine:10}"]
        print(f"{KINDS[kind]:36}", *cells, flush=True)


if __name__ == "__main__":
    main()
