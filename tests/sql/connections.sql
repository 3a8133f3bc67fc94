-- Two connections of one process and a second process see what is committed, and nothing else.
PRAGMA journal_mode = wal;
CREATE VIRTUAL TABLE t USING shardex(v float[2]);
INSERT INTO t(rowid, v) VALUES (1, '[1, 0]'), (2, '[2, 0]');

-- (As a URI: given a plain name, the shell reads the file itself to guess its type, and closing it drops all locks.)
.connection 1
.open file:test.db
.load EXTENSION
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;

-- The first connection begins to write; the second does not see it until COMMIT.
.connection 0
BEGIN;
INSERT INTO t(rowid, v) VALUES (3, '[0.25, 0]');
DELETE FROM t WHERE rowid = 1;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
.connection 1
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
.connection 0
COMMIT;
.connection 1
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;

-- A reader keeps its snapshot while others commit and flush.
BEGIN;
SELECT count(*) FROM t;
.connection 0
INSERT INTO t(rowid, v) VALUES (4, '[0.125, 0]');
INSERT INTO t(t) VALUES ('flush');
UPDATE t SET v = '[9, 0]' WHERE rowid = 2;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
.connection 1
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
COMMIT;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;

-- A second process reads, writes, and is seen at once.
.shell SECOND_PROCESS test.db "SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 1"
.shell SECOND_PROCESS test.db "INSERT INTO t(rowid, v) VALUES (5, '[0, 0]')"
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 2;

-- The directory beside the database is only a cache: deleted while in use, and under a new process.
.shell rm -rf test.db-shardex
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 2;
INSERT INTO t(rowid, v) VALUES (6, '[0, 0.5]');
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 3;
.shell rm -rf test.db-shardex
.shell SECOND_PROCESS test.db "SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 3"

-- A file system that does not let us write there, or something else in its place.
.shell rm -rf test.db-shardex && echo occupied > test.db-shardex
INSERT INTO t(rowid, v) VALUES (7, '[0, 0.25]');
.shell SECOND_PROCESS test.db "SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 4"
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 4;
