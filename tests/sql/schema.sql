-- ALTER TABLE RENAME, DROP TABLE, VACUUM, ATTACH, temp and memory databases, copies.
CREATE VIRTUAL TABLE t USING shardex(v float[2], tag text, +extra text);
INSERT INTO t(rowid, v, tag, extra) VALUES (1, '[1, 0]', 'one', 'x'), (2, '[2, 0]', 'two', 'y');

ALTER TABLE t RENAME TO "new name";
SELECT rowid, distance, tag, extra FROM "new name" WHERE v MATCH '[0, 0]' AND k = 5;
INSERT INTO "new name"(rowid, v, tag) VALUES (3, '[0, 0]', 'three');
INSERT INTO "new name"("new name") VALUES ('flush');
SELECT rowid, distance, tag FROM "new name" WHERE v MATCH '[0, 0]' AND k = 5;
SELECT count(*) FROM sqlite_schema WHERE name = 't' OR name LIKE 't\_%' ESCAPE '\';
BEGIN;
INSERT INTO "new name"(rowid, v) VALUES (4, '[4, 0]');
ALTER TABLE "new name" RENAME TO t;
INSERT INTO t(rowid, v) VALUES (5, '[5, 0]');
SELECT rowid, distance FROM t WHERE v MATCH '[4, 0]' AND k = 2;
ROLLBACK;
SELECT rowid, distance FROM "new name" WHERE v MATCH '[4, 0]' AND k = 2;
ALTER TABLE "new name" RENAME TO t;

VACUUM;
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' AND k = 5;
VACUUM INTO 'copy.db';
ATTACH 'copy.db' AS copy;
SELECT rowid, distance FROM copy.t WHERE v MATCH '[0, 0]' AND k = 5;
INSERT INTO copy.t(rowid, v) VALUES (9, '[0, 0.5]');
SELECT rowid, distance FROM copy.t WHERE v MATCH '[0, 0]' AND k = 2;
SELECT rowid, distance FROM main.t WHERE v MATCH '[0, 0]' AND k = 2;
BEGIN;
INSERT INTO main.t(rowid, v) VALUES (10, '[0, 0.125]');
INSERT INTO copy.t(rowid, v) VALUES (10, '[0, 0.25]');
COMMIT;
SELECT m.distance, c.distance FROM main.t m, copy.t c
 WHERE m.v MATCH '[0, 0]' AND m.k = 2 AND m.rowid = 10 AND c.v MATCH '[0, 0]' AND c.k = 2 AND c.rowid = m.rowid;
DETACH copy;

CREATE VIRTUAL TABLE temp.scratch USING shardex(v float[2]);
INSERT INTO temp.scratch(v) VALUES ('[1, 1]'), ('[2, 2]');
SELECT rowid, distance FROM scratch WHERE v MATCH '[1, 2]' AND k = 2;
ATTACH ':memory:' AS memory;
CREATE VIRTUAL TABLE memory.m USING shardex(v float[2]);
INSERT INTO memory.m(v) VALUES ('[1, 1]'), ('[2, 2]'), ('[3, 3]');
INSERT INTO memory.m(m) VALUES ('flush');
DELETE FROM memory.m WHERE rowid = 1;
SELECT rowid, distance FROM m WHERE v MATCH '[0, 0]' AND k = 2;

DROP TABLE t;
SELECT count(*) FROM sqlite_schema;
CREATE VIRTUAL TABLE t USING shardex(v float[3]);
INSERT INTO t(v) VALUES ('[1, 2, 3]');
SELECT rowid, distance FROM t WHERE v MATCH '[1, 2, 3]' AND k = 5;
BEGIN;
DROP TABLE t;
ROLLBACK;
SELECT rowid, distance FROM t WHERE v MATCH '[1, 2, 3]' AND k = 5;
BEGIN;
CREATE VIRTUAL TABLE u USING shardex(v float[2]);
INSERT INTO u(v) VALUES ('[1, 2]');
ROLLBACK;
SELECT count(*) FROM sqlite_schema WHERE name LIKE 'u%';
CREATE VIRTUAL TABLE IF NOT EXISTS t USING shardex(v float[3]);
CREATE VIRTUAL TABLE "odd ""name""" USING shardex("odd ""column""" float[2], "select" text);
INSERT INTO "odd ""name"""("odd ""column""", "select") VALUES ('[1, 2]', 'x');
SELECT rowid, distance, "select" FROM "odd ""name""" WHERE "odd ""column""" MATCH '[1, 0]' AND k = 1 AND "select" = 'x';
DROP TABLE "odd ""name""";
PRAGMA integrity_check;
