#!/usr/bin/env python3
"""Prints the word vectors as CSV: rank, word, vector as JSON text. usage: words.py NAME  (reads NAME.npy and NAME.txt)

The .npy file is a header (a Python literal) and then little-endian 16-bit floats; nine digits give each back exactly.
"""
import ast
import struct
import sys


def vectors(path):
    with open(path, "rb") as file:
        if file.read(8) != b"\x93NUMPY\x01\x00":
            sys.exit(f"{path}: not a NumPy file of version 1.0")
        (header_size,) = struct.unpack("<H", file.read(2))
        header = ast.literal_eval(file.read(header_size).decode("latin-1"))
        if header["descr"] != "<f2" or header["fortran_order"]:
            sys.exit(f"{path}: expected rows of little-endian 16-bit floats, got {header}")
        count, dim = header["shape"]
        for _ in range(count):
            yield struct.unpack(f"<{dim}e", file.read(2 * dim))


def main():
    name = sys.argv[1]
    one_number = "%.9g"
    with open(name + ".txt", encoding="ascii") as words:
        for rank, (word, vector) in enumerate(zip(words, vectors(name + ".npy")), 1):
            sys.stdout.write(f'{rank},{word.strip()},"[{",".join([one_number % x for x in vector])}]"\n')


if __name__ == "__main__":
    main()
