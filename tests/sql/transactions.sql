-- Everything happens in SQLite's own transactions: commit, rollback, savepoints, failed statements.
CREATE VIRTUAL TABLE t USING shardex(v float[2], tag text);
INSERT INTO t(rowid, v, tag) VALUES (1, '[1, 0]', 'one'), (2, '[2, 0]', 'two'), (3, '[3, 0]', 'three');

BEGIN;
INSERT INTO t(rowid, v, tag) VALUES (4, '[0.5, 0]', 'four');
UPDATE t SET v = '[100, 0]' WHERE rowid = 1;
DELETE FROM t WHERE rowid = 2;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 10;
SELECT count(*) FROM t;
ROLLBACK;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 10;

BEGIN;
DELETE FROM t WHERE rowid = 2;
INSERT INTO t(rowid, v, tag) VALUES (2, '[20, 0]', 'two again');
COMMIT;
SELECT rowid, distance, tag FROM t WHERE v MATCH '[0, 0]' AND k = 10;

-- Savepoints, nested, released and rolled back to, twice.
BEGIN;
INSERT INTO t(rowid, v) VALUES (5, '[5, 0]');
SAVEPOINT a;
INSERT INTO t(rowid, v) VALUES (6, '[6, 0]');
SAVEPOINT b;
DELETE FROM t WHERE rowid = 5;
UPDATE t SET v = '[0, 0]' WHERE rowid = 6;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 3;
ROLLBACK TO b;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
RELEASE b;
ROLLBACK TO a;
ROLLBACK TO a;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
COMMIT;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 10;

-- A savepoint as the transaction; one that begins before the first write.
SAVEPOINT outermost;
DELETE FROM t;
SELECT count(*) FROM t WHERE v MATCH '[0, 0]' AND k = 10;
ROLLBACK TO outermost;
RELEASE outermost;
SELECT count(*) FROM t WHERE v MATCH '[0, 0]' AND k = 10;

-- A failed statement leaves nothing behind, and the transaction goes on.
BEGIN;
INSERT INTO t(rowid, v) VALUES (7, '[7, 0]');
INSERT INTO t(rowid, v) VALUES (8, '[8, 0]'), (9, '[9, 0]'), (1, '[0, 0]');
SELECT rowid FROM t WHERE rowid > 5;
INSERT OR FAIL INTO t(rowid, v) VALUES (8, '[8, 0]'), (1, '[0, 0]');
SELECT rowid FROM t WHERE rowid > 5 ORDER BY rowid;
INSERT OR IGNORE INTO t(rowid, v) VALUES (1, '[0, 0]'), (9, '[9, 0]');
UPDATE t SET v = CASE rowid WHEN 9 THEN 'no vector' ELSE '[0, 0]' END;
SELECT rowid, distance FROM t WHERE v MATCH '[8, 0]' AND k = 3;
COMMIT;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 10;
BEGIN;
INSERT INTO t(rowid, v) VALUES (50, '[50, 0]');
INSERT OR ROLLBACK INTO t(rowid, v) VALUES (1, '[0, 0]');
SELECT count(*) FROM t WHERE rowid = 50;

-- Triggers and ordinary tables in the same transaction.
CREATE TABLE source(id INTEGER PRIMARY KEY, v TEXT);
CREATE TRIGGER source_insert AFTER INSERT ON source BEGIN INSERT INTO t(rowid, v) VALUES (new.id, new.v); END;
INSERT INTO source VALUES (100, '[100, 0]'), (101, '[101, 0]');
BEGIN;
INSERT INTO source VALUES (102, '[102, 0]');
ROLLBACK;
SELECT rowid, distance FROM t WHERE v MATCH '[100, 0]' AND k = 3;
SELECT count(*) FROM source;
PRAGMA integrity_check;
