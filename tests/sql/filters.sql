-- Every filter holds before the nearest are counted; what the scan cannot evaluate still gives right answers.
CREATE VIRTUAL TABLE film USING shardex(v float[2], title text, year integer, score real, +plot text);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO film(rowid, v, title, year, score, plot)
SELECT i, '[' || i || ', 0]', char(97 + i % 26) || i, 1900 + i % 100, i % 10 / 2.0,
       CASE WHEN i % 3 = 0 THEN 'plot ' || i END
  FROM n;

SELECT rowid, year FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND year = 1950;
SELECT rowid, year FROM film WHERE v MATCH '[0, 0]' AND year = 1950 ORDER BY distance LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND year BETWEEN 1997 AND 1999;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND year >= 1990 AND score < 1;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 4 AND year IN (1901, 1905, 1909);
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 4 AND year <> 1901 AND year != 1902;
SELECT rowid, title FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND title LIKE 'z%';
SELECT rowid, title FROM film WHERE v MATCH '[0, 0]' AND k = 2 AND title GLOB 'z*5';
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 2 AND title = 'z25';
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND plot IS NULL;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND plot IS NOT NULL AND rowid > 10;

-- What only SQLite can evaluate: OR, functions, arithmetic, subqueries.
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (year = 1999 OR title = 'b1') ORDER BY distance LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND length(title) = 4 ORDER BY distance LIMIT 2;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND year % 50 = 7 ORDER BY distance LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND rowid % 400 = 0 ORDER BY distance LIMIT 5;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND year = (SELECT max(year) FROM film) ORDER BY distance LIMIT 2;

-- The same in any other order, without doubles, in groups: an OR is not taken for two searches.
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (year = 1999 OR title = 'b1') ORDER BY rowid DESC LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND recall = 1 AND (year = 1999 OR title = 'b1')
 ORDER BY -distance LIMIT 2;
SELECT DISTINCT year FROM film WHERE v MATCH '[0, 0]' AND (year = 1999 OR title = 'b1' OR rowid = 2) ORDER BY year;
SELECT year, count(*), min(distance) FROM film WHERE v MATCH '[0, 0]' AND distance < 250
   AND (year IN (1998, 1999) OR rowid IN (1, 101)) GROUP BY year;
SELECT f.rowid, g.value FROM film f JOIN json_each('[1999, 1901]') g ON f.year = g.value
 WHERE f.v MATCH '[0, 0]' AND (f.rowid = 1 OR f.score < 5) ORDER BY f.distance, g.value LIMIT 3;

-- Rowids, also where SQLite would rather look them up one by one.
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (rowid = 900 OR rowid = 7) ORDER BY distance;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (rowid = 900 OR year = 1999) ORDER BY distance LIMIT 2;
-- (SQLite does not tell a table about such an OR: it is applied to the k nearest, but before a LIMIT counts them.)
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND (rowid = 900 OR title = 'b1' OR score = 4.5);
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (rowid = 900 OR title = 'b1' OR score = 4.5)
 ORDER BY distance LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND rowid IN (7, 900, 5, 123456);
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3
   AND rowid IN (SELECT rowid FROM film WHERE score = 4.5 AND year < 1930);
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND rowid = 77;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND rowid BETWEEN 500 AND 600;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND rowid > 995 ORDER BY distance;

-- A radius, alone and with k.
SELECT rowid, distance FROM film WHERE v MATCH '[0.5, 0]' AND distance < 2.5 ORDER BY distance;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND distance <= 3 ORDER BY distance;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND distance < 100 AND k = 2;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND distance > 997 ORDER BY distance LIMIT 5;
SELECT count(*) FROM film WHERE v MATCH '[0, 0]' AND distance BETWEEN 10 AND 20;

-- Text that looks like a number bounds a distance as the number does; every distance is less than other text.
SELECT group_concat(rowid) FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND distance > '5';
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND distance > '5' ORDER BY distance LIMIT 3;
SELECT group_concat(rowid) FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND distance BETWEEN '7.5' AND 'far';
SELECT count(*) FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND distance > 'far';
SELECT count(*) FROM film WHERE v MATCH '[0, 0]' AND distance <= CAST('4' AS TEXT) AND distance < x'00';

-- A filter that few postings pass, or none.
SELECT rowid FROM film WHERE v MATCH '[1000, 0]' AND k = 5 AND title = 'b1';
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 5 AND year = 1;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 5 AND year IS NULL;

-- The same from segments.
INSERT INTO film(film) VALUES ('flush');
SELECT rowid, year FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND year = 1950;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND rowid % 400 = 0 ORDER BY distance LIMIT 5;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND k = 3 AND rowid IN (7, 900, 5, 123456);
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND distance <= 3 ORDER BY distance;
SELECT count(*), sum(rowid) FROM film WHERE v MATCH '[0, 0]' AND score = 2;

-- A text that stands in the query is compared once; whatever else text can be compared with is checked again.
CREATE VIRTUAL TABLE mixed USING shardex(v float[1], x text);
INSERT INTO mixed(rowid, v, x) VALUES (1, '[1]', 'a'), (2, '[2]', 'A'), (3, '[3]', x'61'), (4, '[4]', 7),
    (5, '[5]', '7.0'), (6, '[6]', NULL), (7, '[7]', 'a');
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = 'a';
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x IS 'a';
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND 'a' = x AND x <> 'b';
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = 'a' COLLATE NOCASE;
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = x'61';
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = 7;
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = CAST('7' AS TEXT);
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = CAST('7' AS INTEGER);
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x = (SELECT 'a');
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x IN ('a', 7, NULL);
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x IN ('a', 'A') AND rowid IN (1, 2, 3, 9)
    AND rowid IN (2, 3, 7);
-- (SQLite puts bounds beside a GLOB. Whether it takes blobs for text is up to how it was built.)
SELECT (x'61' GLOB 'a*') = count(*) FROM mixed WHERE x GLOB 'a*' AND typeof(x) = 'blob';
SELECT (x'61' GLOB 'a*') = count(*) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x GLOB 'a*' AND typeof(x) = 'blob';
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x GLOB '[a]*' AND x < 'b' AND x > 'A';
-- Text in a list of numbers that a numeric column made is looked for as a number; in one of no affinity it is not.
CREATE TABLE number(n INTEGER, any);
INSERT INTO number VALUES (7, 7), (8, '7.0');
SELECT group_concat(rowid) FROM mixed WHERE x IN (SELECT n FROM number);
SELECT group_concat(rowid) FROM mixed WHERE v MATCH '[0]' AND k = 7 AND x IN (SELECT n FROM number);
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x IN (SELECT n FROM number) ORDER BY distance LIMIT 1 OFFSET 1;
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x IN (SELECT any FROM number) ORDER BY distance LIMIT 1;
SELECT group_concat(rowid) FROM mixed WHERE x <> (SELECT any FROM number WHERE n = 7);
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x > (SELECT any FROM number WHERE n = 7) ORDER BY distance LIMIT 2, 9;
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x < 9 ORDER BY distance LIMIT 2;
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x > 7 ORDER BY distance LIMIT 2 OFFSET 1;
SELECT rowid FROM mixed WHERE v MATCH '[0]' AND x = 7 ORDER BY distance LIMIT 1;
DROP TABLE mixed;

-- Text becomes the number that SQLite makes of it, which may be one beside the nearest.
CREATE VIRTUAL TABLE decimal USING shardex(v float[1], r real, n numeric);
INSERT INTO decimal(v, r, n) SELECT '[1]', value, value
  FROM json_each('["9135.50694648228", "288233734486.83400526e229", "1e999", "-0.0", " 7 ", "9223372036854775808"]');
SELECT count(*), (SELECT count(*) FROM decimal d WHERE v MATCH '[0]' AND k = 1 AND r = decimal.r AND n = decimal.n)
  FROM decimal GROUP BY 2;
SELECT count(*) FROM decimal WHERE v MATCH '[0]' AND k = 9 AND n = '9135.50694648228';
INSERT INTO decimal(decimal) VALUES ('integrity-check');

-- Row values: SQLite checks all but the first column itself, and only then are the nearest counted.
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (year, rowid) > (1951, 140) ORDER BY distance LIMIT 3;
SELECT rowid FROM film WHERE v MATCH '[0, 0]' AND (rowid, year) >= (900, 1990) ORDER BY distance LIMIT 2;
