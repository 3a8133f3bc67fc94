#!/usr/bin/env python3
"""Writes the first inputs of each fuzz target into corpus/<target>/; those that stand there for a defect stay.

usage: seeds.py

What the bytes mean is said at the top of each target and, for edits of files, in fuzz.h.
"""
import pathlib
import struct

BYTES, NUMBER, ADD, COPY, SIZE, WHOLE = range(6)


def edits(*items):
    return bytes([len(items)]) + b"".join(items)


def put(at, data):
    return struct.pack("<BHB", BYTES, at, len(data) - 1) + data


def number(at, which):
    return struct.pack("<BHB", NUMBER, at, which)


def add(at, by):
    return struct.pack("<BHb", ADD, at, by)


def copy(source, at, size):
    return struct.pack("<BHHH", COPY, source, at, size)


def size(count):
    return struct.pack("<BH", SIZE, count)


def whole(data):
    return struct.pack("<BH", WHOLE, len(data)) + data


RAW, SEALED = b"\0", b"\1"
QUERY = bytes(range(0, 250, 2))

SEEDS = {
    "wal": {
        "whole": RAW + edits(),
        "sealed": SEALED + edits(add(64 + 48, 1), put(64 + 128, b"\1\2\3\4")),
        "cut": SEALED + edits(size(700)),
        "kind": SEALED + edits(add(64 + 192, 2), number(64 + 8, 9)),
    },
    "segment": {
        "whole": RAW + edits() + bytes([2, 0, 250, 6, 1, 0, 7]),
        "sealed": SEALED + edits(put(700, b"\0\0\0\1"), add(640, 1)) + bytes([1, 2, 0, 50]),
        "columns": SEALED + edits(number(6200, 130), copy(6000, 6100, 64)) + bytes([3, 0, 0, 7, 1, 1, 1, 2, 9, 3]),
        "empty": SEALED + edits(number(640, 192), number(656, 128)),
    },
    "shards": {
        "flat": RAW + b"\0" + edits() + QUERY,
        "levels": SEALED + b"\1" + edits(add(704, 1)) + QUERY,
        "graph": SEALED + b"\2" + edits(put(4000, b"\1\0\0\0"), number(5000, 131)) + QUERY,
    },
    "directory": {},
}


def directory(sample, *files, steps=b""):
    """`files`: (number of the file in the order of names, its edits)."""
    return bytes([sample, 1, len(files)]) + b"".join(bytes([which]) + what for which, what in files) + steps


STEPS = bytes([0, 0, 3, 10, 0, 0, 1, 9, 5, 1, 1, 12, 9, 20, 60, 4, 5, 3, 7, 6, 0, 0, 8, 1, 5, 0, 7, 0, 4])
for sample in range(5):
    SEEDS["directory"][f"whole_{sample}"] = directory(sample, steps=STEPS)
    # Many rows, says the base: then codes and shards are used.
    SEEDS["directory"][f"codes_{sample}"] = directory(sample, (1, edits(put(256 + 32, b"\0\0\1\0"))), steps=STEPS)


def main():
    corpus = pathlib.Path(__file__).parent / "corpus"
    for target, seeds in SEEDS.items():
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (corpus / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
