-- Joins: a search for each row on the left.
CREATE VIRTUAL TABLE point USING shardex(v float[2], name text);
INSERT INTO point(rowid, v, name)
VALUES (1, '[0, 0]', 'a'), (2, '[1, 0]', 'b'), (3, '[3, 0]', 'c'), (4, '[7, 0]', 'd'), (5, '[15, 0]', 'e');
CREATE TABLE fact(point_id INTEGER, text TEXT);
INSERT INTO fact VALUES (1, 'origin'), (3, 'three'), (5, 'far'), (5, 'very far');

SELECT a.name, n.name, n.distance FROM point a JOIN point n ON n.v MATCH a.v AND n.k = 2 ORDER BY a.rowid, n.distance;
SELECT a.name, n.name FROM point a JOIN point n ON n.v MATCH a.v AND n.k = 3
 WHERE a.rowid IN (1, 4) AND n.rowid <> a.rowid ORDER BY a.rowid, n.distance;
SELECT p.name, f.text FROM point p JOIN fact f ON f.point_id = p.rowid
 WHERE p.v MATCH '[14, 0]' AND p.k = 3 ORDER BY p.distance, f.text;
SELECT p.name, f.text FROM point p LEFT JOIN fact f ON f.point_id = p.rowid
 WHERE p.v MATCH '[0, 0]' AND p.k = 3 ORDER BY p.distance;
SELECT f.text, p.name FROM fact f JOIN point p ON p.rowid = f.point_id ORDER BY f.text;

-- The nearest that have a fact: the search goes on until the join is satisfied.
SELECT p.name, f.text FROM point p JOIN fact f ON f.point_id = p.rowid
 WHERE p.v MATCH '[1, 0]' ORDER BY p.distance LIMIT 2;
SELECT name FROM point WHERE v MATCH '[1, 0]' AND EXISTS (SELECT 1 FROM fact WHERE point_id = point.rowid)
 ORDER BY distance LIMIT 2;

-- A query vector from another table; k from another table.
CREATE TABLE question(id INTEGER PRIMARY KEY, v BLOB, k INTEGER);
INSERT INTO question VALUES (1, vec_f32('[2, 0]'), 1), (2, vec_f32('[8, 0]'), 2);
SELECT q.id, p.name FROM question q JOIN point p ON p.v MATCH q.v AND p.k = q.k ORDER BY q.id, p.distance;
SELECT q.id, (SELECT p.name FROM point p WHERE p.v MATCH q.v AND p.k = 1) FROM question q ORDER BY q.id;

-- Joined with a WITH clause, grouped.
WITH near AS (SELECT rowid, distance FROM point WHERE v MATCH '[0, 0]' AND k = 4)
SELECT count(*), max(near.distance), group_concat(point.name) FROM near JOIN point USING (rowid);
