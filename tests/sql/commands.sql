-- Commands change what a query costs, never what it answers.
CREATE VIRTUAL TABLE t USING shardex(v float[16], n integer);
WITH RECURSIVE i(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM i WHERE i < 6000)
INSERT INTO t(rowid, v, n)
SELECT i, json_array(i % 71, i % 73, i % 79, i % 83, i % 89, i % 97, i % 101, i % 103, i % 107, i % 109, i % 113,
                     i % 127, i % 131, i % 137, i % 139, i % 149), i % 7 FROM i;
CREATE TEMP VIEW answer AS
SELECT group_concat(rowid) AS nearest
  FROM (SELECT rowid FROM t WHERE v MATCH (SELECT v FROM t WHERE rowid = 1234) AND k = 5 AND exact = 1);
SELECT * FROM answer;
INSERT INTO t(t) VALUES ('flush');
SELECT * FROM answer;
SELECT json_extract(shardex_info('t'), '$.rows');
DELETE FROM t WHERE rowid % 10 = 0;
UPDATE t SET n = 100 WHERE rowid % 10 = 1;
SELECT * FROM answer;
INSERT INTO t(t) VALUES ('flush');
SELECT * FROM answer;
INSERT INTO t(t) VALUES ('optimize');
SELECT * FROM answer;
INSERT INTO t(t) VALUES ('rebuild');
SELECT * FROM answer;
INSERT INTO t(t) VALUES ('integrity-check');
SELECT json_extract(shardex_info('t'), '$.rows'), (SELECT count(*) FROM t);
SELECT shardex_recall('t', 10, 50) >= 0.95;

-- On an empty table, in a transaction, twice.
CREATE VIRTUAL TABLE empty USING shardex(v float[4]);
INSERT INTO empty(empty) VALUES ('flush');
INSERT INTO empty(empty) VALUES ('optimize');
INSERT INTO empty(empty) VALUES ('rebuild');
INSERT INTO empty(empty) VALUES ('integrity-check');
SELECT count(*) FROM empty WHERE v MATCH '[1, 2, 3, 4]' AND k = 3;
BEGIN;
INSERT INTO empty(v) VALUES ('[1, 2, 3, 4]');
INSERT INTO empty(empty) VALUES ('flush');
SELECT rowid, distance FROM empty WHERE v MATCH '[1, 2, 3, 4]' AND k = 3;
ROLLBACK;
SELECT count(*) FROM empty;
INSERT INTO empty(empty) VALUES ('integrity-check');

-- Damage done to the shadow tables by other means is found, and what the database says now is made the truth.
INSERT INTO empty(rowid, v) VALUES (1, '[1, 2, 3, 4]'), (2, '[5, 6, 7, 8]');
DELETE FROM empty_rows WHERE id = 2;
DELETE FROM empty_vectors WHERE id = 2;
INSERT INTO empty(empty) VALUES ('integrity-check');
INSERT INTO empty(empty) VALUES ('rebuild');
INSERT INTO empty(empty) VALUES ('integrity-check');
SELECT rowid, distance FROM empty WHERE v MATCH '[1, 2, 3, 4]' AND k = 3;
