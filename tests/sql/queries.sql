-- Nearest neighbours, on points whose distances are known: row i lies at (i, 0).
CREATE VIRTUAL TABLE line USING shardex(v float[2], label text);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)
INSERT INTO line(rowid, v, label) SELECT i, '[' || i || ', 0]', 'p' || i FROM n;

SELECT rowid, distance FROM line WHERE v MATCH '[0, 0]' AND k = 3;
SELECT rowid, distance FROM line WHERE v MATCH '[50.25, 0]' ORDER BY distance LIMIT 4;
SELECT rowid, distance FROM line WHERE v MATCH '[0, 0]' ORDER BY distance LIMIT 3 OFFSET 5;
SELECT rowid, distance FROM line WHERE v MATCH vec_f32('[100, 3]') AND k = 2;

-- Ties break by rowid.
SELECT rowid, distance FROM line WHERE v MATCH '[50, 0]' AND k = 5;
SELECT rowid FROM line WHERE v MATCH '[50.5, 0]' AND k = 1;

-- k and LIMIT together: the smaller. k = 0: nothing. k beyond the table: everything.
SELECT rowid FROM line WHERE v MATCH '[0, 0]' AND k = 5 LIMIT 2;
SELECT rowid FROM line WHERE v MATCH '[0, 0]' AND k = 2 LIMIT 5;
SELECT count(*) FROM line WHERE v MATCH '[0, 0]' AND k = 0;
SELECT count(*) FROM line WHERE v MATCH '[0, 0]' AND k = 1000;
SELECT count(*), max(distance) FROM line WHERE v MATCH '[0, 0]' AND k = 10;
SELECT count(*) FROM line WHERE v MATCH '[0, 0]';
SELECT rowid FROM line WHERE v MATCH '[0, 0]' LIMIT 0;

-- Other orders are SQLite's work.
SELECT rowid, distance FROM line WHERE v MATCH '[0, 0]' AND k = 4 ORDER BY distance DESC;
SELECT rowid, label FROM line WHERE v MATCH '[0, 0]' AND k = 12 ORDER BY label LIMIT 4;
SELECT rowid FROM line WHERE v MATCH '[0, 0]' ORDER BY distance DESC LIMIT 3;
SELECT rowid FROM line WHERE v MATCH '[0, 0]' ORDER BY label DESC LIMIT 3;

-- Recall and exactness as constraints; hidden columns can be read.
SELECT rowid FROM line WHERE v MATCH '[7, 0]' AND k = 3 AND recall = 0.99;
SELECT rowid FROM line WHERE v MATCH '[7, 0]' AND k = 3 AND exact = 1;
SELECT rowid FROM line WHERE v MATCH '[7, 0]' AND k = 3 AND recall = 1.0 AND exact = 0;

-- Distinct, union, aggregates, subqueries.
SELECT count(DISTINCT label) FROM line WHERE v MATCH '[0, 0]' AND k = 20;
SELECT rowid FROM line WHERE v MATCH '[1, 0]' AND k = 1
UNION ALL SELECT rowid FROM line WHERE v MATCH '[100, 0]' AND k = 1;
SELECT sum(distance) FROM (SELECT distance FROM line WHERE v MATCH '[0, 0]' ORDER BY distance LIMIT 4);
SELECT rowid FROM line WHERE v MATCH (SELECT v FROM line WHERE rowid = 42) AND k = 2;

-- The other metrics.
CREATE VIRTUAL TABLE angle USING shardex(v float[2] distance_metric=cosine);
INSERT INTO angle(rowid, v) VALUES (1, '[1, 0]'), (2, '[5, 0]'), (3, '[0, 3]'), (4, '[-2, 0]'), (5, '[0, 0]');
SELECT rowid, distance FROM angle WHERE v MATCH '[10, 0]' AND k = 5;
SELECT rowid, distance FROM angle WHERE v MATCH '[0, 0]' AND k = 2;
CREATE VIRTUAL TABLE product USING shardex(v float[2] distance_metric=ip);
INSERT INTO product(rowid, v) VALUES (1, '[1, 0]'), (2, '[5, 0]'), (3, '[0, 3]'), (4, '[-2, 0]'), (5, '[0, 0]');
SELECT rowid, distance FROM product WHERE v MATCH '[2, 0]' AND k = 5;

-- The same answers from segments as from the rows committed since.
INSERT INTO line(line) VALUES ('flush');
SELECT rowid, distance FROM line WHERE v MATCH '[50, 0]' AND k = 5;
DELETE FROM line WHERE rowid = 51;
UPDATE line SET v = '[50.5, 0]' WHERE rowid = 3;
SELECT rowid, distance FROM line WHERE v MATCH '[50, 0]' AND k = 5;
INSERT INTO line(line) VALUES ('flush');
SELECT rowid, distance FROM line WHERE v MATCH '[50, 0]' AND k = 5;
SELECT rowid, distance FROM line WHERE v MATCH '[50, 0]' AND k = 5 AND exact = 1;
