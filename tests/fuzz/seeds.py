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


LOOK = bytes([0, 0, 3, 10, 0, 0, 1, 9, 5, 1, 0, 12, 9, 20, 60, 0, 44, 4, 5, 8, 20, 0, 2, 7, 9, 0])
CHANGE = bytes([26, 3, 8, 0, 8, 1, 9, 0, 30, 29, 1, 20, 0, 0, 5, 3])
for sample in range(5):
    SEEDS["directory"][f"whole_{sample}"] = directory(sample, steps=LOOK + CHANGE)
    # Many rows, says the base: then codes and shards are used.
    SEEDS["directory"][f"codes_{sample}"] = directory(sample, (1, edits(put(256 + 32, b"\0\0\1\0"))), steps=LOOK)
SEEDS["directory"]["flush"] = directory(0, steps=CHANGE + bytes([31, 0, 0, 0, 1, 5, 7]))
SEEDS["directory"]["optimize"] = directory(2, (2, edits(add(704, 1))), steps=CHANGE + bytes([31, 1, 0, 2, 1, 5, 7]))


def integer(value):
    return b"\1\7" + struct.pack("<q", value)


def real(value):
    return b"\2" + struct.pack("<d", value)


def text(value):
    return bytes([3, len(value)]) + value.encode()


def blob(value):
    return b"\4" + struct.pack("<H", len(value)) + value


NULL = b"\0"
ID = bytes(range(16))
PACKED = (b"\1" + struct.pack("<q", 5) + b"\2" + struct.pack("<d", 2.5) + b"\3\2\0\0\0ab" + b"\4\1\0\0\0c" + b"\5")
FLOATS = struct.pack("<4f", 1, -2.5, 3e30, 0)
SEEDS.update({
    "ring": {
        "one": struct.pack("<HBB", 2, 1, 1) + b"\1\7" + b"\x12\0" + ID,
        "two": struct.pack("<HBB", 18, 1, 2) + b"\2\x3f\5\0" + b"\x27\0" + ID + ID[::-1] + b"\3\2\x90\1\5",
        "full": struct.pack("<HBB", 2, 1, 30) + b"\12\1\x14\x20" * 15 + b"\x12\0" + ID,
        "anew": struct.pack("<HBB", 2, 1, 3) + b"\1\1\xff\x3f\1\1" + b"\x12\0" + ID,
    },
    "values": {
        "each": bytes([1, 0, 4, 9, 0, 5, 8, 12, 1, 2]) + PACKED,
        "twice": bytes([3, 1, 6, 10, 4, 9, 13, 2, 7, 3]) + PACKED + PACKED,
    },
    "vector": {
        "json": bytes([6]) + text("[1, -2.5e3, 0.1, 4]"),
        "blob": bytes([0]) + blob(FLOATS),
        "distance": bytes([12]) + text("[1,2,3,4]") + blob(FLOATS),
        "bits": bytes([8]) + blob(b"\x0f\xf0"),
        "int8": bytes([19]) + text("[1,-128,127,0]"),
        "half": bytes([17]) + text("[65504,1e-8,-0.0,1]"),
        "search": bytes([21]) + text("[1,2,3,4]") + integer(3),
        "fault": bytes([4]) + text("[1,,2]"),
        "sum": bytes([28]) + text("[1,-2.5,3]") + text("[4,5,6e3]"),
        "unit": bytes([29]) + blob(FLOATS) + blob(FLOATS),
        "slice": bytes([30]) + text("[1,2,3]") + integer(2),
        "bytes": bytes([31]) + blob(b"\1\2\3") + integer(8),
        "average": bytes([32]) + text("[1,2,3]") + text("[7,8,9]"),
        "each": bytes([33]) + text("[1,2,3]") + real(1.5),
        "quantized": bytes([10]) + text("[1,-0.5,0.25,2]") + text("unit"),
        "quantized_otherwise": bytes([10]) + text("[1]") + text("other"),
        "quantized_binary": bytes([11]) + text("[1,-1,2,0,0.5,-3,7,8]"),
        "type": bytes([9]) + blob(FLOATS) + NULL,
        "distance_half": bytes([13]) + text("[1,2]") + text("[3,4]"),
        "distance_int8": bytes([14]) + text("[1,2,-3]") + text("[-3,4,5]"),
        "distance_bits": bytes([15]) + blob(b"\1\2") + blob(b"\3\xff"),
        "digits": bytes([6]) + text("[" + "1234567890" * 12 + ".5e-118,9e-46,1e99999999999,0x1]"),
        "infinite": bytes([16]) + blob(struct.pack("<4f", 1, float("inf"), 0, 0)),
        "infinite_half": bytes([1]) + blob(struct.pack("<4e", 1, 2, float("nan"), 0)),
        "radius_half": bytes([22]) + text("[1,2,3,4]") + real(2.5),
        "converted": bytes([35]) + text("[1,-2.5,7e4]") + text("[1,2,3]"),
        "other_query": bytes([36]) + text("[1,2,3,4]") + text("[1,2,3,4]"),
        "other_element": bytes([37]) + text("[1,2,3,4]") + text("[1,2,3,4]"),
        "ulid": bytes([38]) + text("01ARZ3NDEKTSV4RRFFQ69G5FAV") + text("01"),
        "each_bit": bytes([34]) + blob(b"\1\2") + text("[-1,2]"),
    },
    "vector_file": {
        "npy": bytes([0, 1]) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n" + FLOATS + FLOATS[:8],
        "npy_double": bytes([0, 1]) + b"{'shape': (3, 1), 'descr': '<f8', 'fortran_order': False}\n" + FLOATS
                      + FLOATS[:8],
        "npy_int8": bytes([0, 1]) + b"{'descr': \"|i1\", 'fortran_order': False, 'shape': (4, 4,)}\n" + FLOATS,
        "npy_frame": bytes([0, 0]) + b"\x93NUMPY\2\0\x3b\0\0\0"
                     + b"{'descr': '<f2', 'fortran_order': False, 'shape': (1, 8), }" + FLOATS,
        "fvecs": bytes([1]) + (struct.pack("<i", 4) + FLOATS) * 3,
        "fvecs_uneven": bytes([1]) + struct.pack("<i", 1) + FLOATS[:4] + struct.pack("<i", 2) + FLOATS[:4],
    },
    "filter": {
        "numbers": bytes([3]) + integer(1) + text("a") + real(1.5) + text("b") + NULL + NULL
                   + bytes([0]) + integer(1) + integer(1),
        "texts": bytes([3]) + text("5") + text("5") + text("5.0x") + blob(b"5") + real(5.0) + NULL
                 + bytes([7]) + text("5") + bytes([14]) + integer(1) + text("6"),
        "edges": bytes([2]) + integer(2**63 - 1) + real(9.3e18) + integer(-2**63) + real(-1e308)
                 + bytes([1]) + real(9.223372036854775e18) + bytes([16]) + integer(2**63 - 1),
    },
    "declare": {
        "plain": b"embedding float[4], n INTEGER, s TEXT NOT NULL, +x",
        "options": b"v int8[8] distance_metric=l1, id INTEGER PRIMARY KEY, recall=0.99, shard_size=64",
        "quoted":
            b'"a ""b" bit[64],\n[c] REAL,\n`d` BLOB,\nrouter=graph, graph_m=8, threads=1',
        "index": b"v bit[16] indexed by ivf(a=(1)), flush_rows=64, graph_ef=8,\nv int8[3] indexed by none(",
        "sizes": b"v float[2], d DECIMAL(10, 5) not null, t VARCHAR(20), x CHAR(",
        "metric": b"v bit[8] distance_metric=l1, router=tree, recall=2, threads='1', content='x'",
        "names": b"v float[2], distance REAL, K int, rowid text, a, A, per_document, w bit[8]",
        "keys": b"v bf16[3], a TEXT PRIMARY KEY, b INTEGER PRIMARY KEY, c time key, +d partition key, e document key",
        "vec0": b"v float[768] distance_metric=cosine, +d text, document_id TEXT, memory_only=1",
    },
    "script": {
        "queries": b"SELECT rowid, distance FROM t WHERE v MATCH '[1,2]' AND k = 5 AND n = 1 ORDER BY distance;"
                   b"SELECT * FROM t WHERE rowid > 5;SELECT s, distance FROM t WHERE v MATCH '[0,0]' LIMIT 3",
        "changes": b"BEGIN;UPDATE t SET n = n + 1 WHERE rowid < 5;SAVEPOINT a;DELETE FROM t WHERE n = 2;ROLLBACK TO a;"
                   b"INSERT OR REPLACE INTO t(rowid, v) VALUES(3, '[3,3]');COMMIT;INSERT INTO t(t) VALUES('flush')",
        "tables": b"CREATE VIRTUAL TABLE u USING shardex(w int8[8], +z);INSERT INTO u(w) VALUES('[1,2,3,4,5,6,7,8]');"
                  b"ALTER TABLE u RENAME TO w;SELECT shardex_info('w'), shardex_recall('t', 2, 3);DROP TABLE w;VACUUM",
        "joins": b"SELECT a.rowid, b.rowid, b.distance FROM t a, t b WHERE b.v MATCH a.v AND b.k = 2 AND a.n = 0;"
                 b"SELECT count(*) FROM t WHERE v MATCH '[1,1]' AND distance < 4 AND rowid IN (1, 2, 3);"
                 b"WITH q(v) AS (VALUES('[1,2]')) SELECT rowid FROM t, q WHERE t.v MATCH q.v AND k = 4 AND exact = 1",
        "commands": b"INSERT INTO t(t) VALUES('rebuild');INSERT INTO t(t) VALUES('optimize');"
                    b"SELECT * FROM shardex_stats('t');"
                    b"INSERT INTO t(t) VALUES('integrity-check');PRAGMA integrity_check",
    },
    "state_row": {
        "ring": bytes([2, 1]) + blob(ID) + bytes([4, 1]) + edits(add(20, 1), put(300, b"\x81")) + bytes([0, 3, 7, 9]),
        "commit": bytes([1, 1]) + blob(ID) + bytes([0, 1, 6, 15, 17, 0]),
        "vector": bytes([1, 11]) + blob(FLOATS[:8]) + bytes([18, 0, 3, 15]),
        "types": bytes([3, 2]) + text("x") + bytes([9]) + real(0.5) + bytes([3]) + integer(3)
                 + bytes([0, 7, 10, 9, 16]),
        "rename": bytes([1, 5]) + integer(2) + bytes([21, 20, 3, 22]),
    },
})


def joint(kind, *files, sealed=0, stages=0, steps=b""):
    return bytes([kind, sealed, stages, len(files)]) + b"".join(bytes([which]) + what for which, what in files) + steps


def search(mode, condition, vector=3, k=6, first=20, second=50):
    return bytes([0, mode, condition, vector, k, first, second])


def write(which, vector=4, first=12, second=90):
    return bytes([16, which, vector, first, second])


def control(*which):
    return b"".join(bytes([28, one]) for one in which)


BEGIN, SAVEPOINT_A, ROLLBACK_A, RELEASE_A, SAVEPOINT_B, ROLLBACK_B, RELEASE_B, COMMIT, ROLLBACK = range(9)
FLUSH, OPTIMIZE, RECONCILE, GC, PURGE, CATCH_UP, VACUUM, CHECKPOINT, RENAME = range(9, 18)
INFO, STATS, JOIN, HIDDEN, MAKE_U, DROP_U, CHECK, REBUILD, GONE, GONE_OPEN = range(18, 28)
REOPEN, PEER, FAULT, BATTERY, BACKUP, ROWS = (bytes([step]) for step in (40, 41, 42, 43, 45, 46))
SCRIPT = b"SELECT rowid FROM t WHERE v MATCH '[1,2]' AND k = 3;VACUUM;DELETE FROM t\0"
LOST, OTHERS = b"\xff", b"\xf0"
SEARCHES = [b"".join(search((i + j) % 6, i * 5 % 28, i, i * 7 % 40 + 1, i * 11 % 90, i * 13 % 60)
                     for i in range(14 * j, 14 * j + 14)) for j in range(2)]
SEEDS["joint"] = {
    "text": joint(0, steps=bytes([44]) + SCRIPT + ROWS + BATTERY + b"\2"),
    "deceit": joint(2, (3, b"\0" + edits(put(800, b"\xff"), copy(900, 1000, 30))), sealed=1,
                    steps=search(2, 0) + control(REBUILD) + search(0, 5) + ROWS + control(CHECK)),
    "deceit_bases": joint(4, *((i, b"\0" + edits(add(60 * i + 260, 3))) for i in range(1, 5)), sealed=1,
                          steps=search(1, 1) + write(5) + control(REBUILD, CHECK) + search(2, 7)),
    "database": joint(0, (0, b"\0" + edits(put(5000, b"\0\1"), add(9000, 1))), sealed=1,
                      steps=ROWS + search(0, 0) + control(CHECK, RECONCILE) + BATTERY + b"\3"),
    "nothing_copied": joint(0, (0, LOST), steps=BACKUP + search(0, 0)[1:]),
    "damage_open": joint(3, steps=search(2, 1) + REOPEN + b"\3\1\0" + edits(number(300, 20)) + b"\3\0"
                         + edits(add(70, 9)) + search(0, 3) + ROWS),
}
for kind in range(6):
    SEEDS["joint"].update({f"{name}_{kind}": seed for name, seed in {
        "asked": joint(kind, steps=SEARCHES[kind % 2]),
        "asked_beyond": joint(kind, (1, LOST), (2, LOST), steps=SEARCHES[1 - kind % 2] + write(2) + search(2, 1)),
        "changed": joint(kind, steps=control(BEGIN) + write(kind) + control(SAVEPOINT_A) + write(14)
                         + search(2, 6 + kind) + control(ROLLBACK_A) + ROWS + write(8 + kind) + control(COMMIT, FLUSH)
                         + search(3, 10 + kind) + ROWS + PEER + b"\1" + write(10) + PEER + b"\3\2\1\7\11\4\5"
                         + control(CHECK) + BACKUP + search(0, kind)[1:]),
        "commands": joint(kind, steps=control(MAKE_U, OPTIMIZE, CHECK, INFO, STATS, JOIN) + write(0)
                          + control(PURGE, CHECK, RENAME, VACUUM, CATCH_UP, HIDDEN, DROP_U) + search(2, 0)
                          + control(RECONCILE, GC, CHECKPOINT, REBUILD) + search(2, 9) + ROWS),
        "stage": joint(kind, stages=12 + 16 * (kind % 3) + (kind + 1) % 3, steps=search(2, 0) + write(kind)
                       + search(0, kind) + ROWS + control(CHECK, FLUSH) + search(2, 1)),
        "damaged": joint(kind, (kind + 1, b"\0" + edits(number(300, 130))), steps=search(0, 0) + search(2, 1) + write(2)
                         + search(3, 8) + ROWS + BACKUP + search(1, 1)[1:]),
        "renamed": joint(kind, steps=control(BEGIN) + write(kind) + control(RENAME) + write(3) + search(0, 0)
                         + control(SAVEPOINT_A, RENAME) + write(4) + control(ROLLBACK_A) + write(10) + search(2, 0)
                         + control(RELEASE_A, COMMIT, CHECK) + search(1, 7)),
        "gone": joint(kind, steps=control(BEGIN) + write(kind) + control(SAVEPOINT_A) + write(3) + control(GONE)
                      + search(0, 0) + write(4) + control(SAVEPOINT_B, GONE_OPEN) + write(10) + control(ROLLBACK_B)
                      + search(2, 0) + control(ROLLBACK_A, GONE, COMMIT) + search(0, 1) + write(3) + ROWS
                      + control(CHECK)),
        "checked": joint(kind, (3, b"\0" + edits(add(1200 + 900 * kind, 1))), sealed=1, steps=control(CHECK)
                         + search(1, 0, k=47)),
        "stream": joint(kind, (3, b"\0" + edits(*(add(5000 + 1000 * i, 1) for i in range(3)))), (4, LOST),
                        steps=b"".join(search(mode, which, k=47) for which in (0, 25, 26, 27) for mode in (1, 6))),
        "fails": joint(kind, steps=FAULT + bytes([3 * kind + 1, 1 + 4 * kind]) + write(kind) + search(2, 0) + write(10)
                       + FAULT + b"\0\0" + search(0, 3) + FAULT + bytes([5, 2]) + control(FLUSH) + search(3, 5) + ROWS),
        "lost": joint(kind, (kind + 2, LOST), (kind + 4, OTHERS + b"\2\3"), steps=search(2, 2) + write(3)
                      + search(5, 0) + REOPEN + b"\0" + search(4, 4)),
    }.items()})


def main():
    corpus = pathlib.Path(__file__).parent / "corpus"
    for target, seeds in SEEDS.items():
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (corpus / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
