-- A table of vectors behaves as a table: insert, look up, scan, count, update, delete.
CREATE VIRTUAL TABLE notes USING shardex(embedding float[3], title text, year integer, +body text);
SELECT count(*) FROM notes;
INSERT INTO notes(embedding, title, year, body)
VALUES ('[1, 0, 0]', 'east', 2019, 'long text'), ('[0, 1, 0]', 'north', 2020, NULL);
INSERT INTO notes(rowid, embedding, title) VALUES (10, '[0, 0, 1]', 'up');
INSERT INTO notes(rowid, embedding, title, year) VALUES (-5, x'0000803f0000803f0000803f', 'blob', 1.0);
SELECT last_insert_rowid();
SELECT rowid, vec_to_json(embedding), title, year, body FROM notes ORDER BY rowid;
SELECT typeof(embedding), length(embedding), typeof(year) FROM notes WHERE rowid = 1;

-- Point look-ups, ranges, aggregates.
SELECT title FROM notes WHERE rowid = 10;
SELECT title FROM notes WHERE rowid = 11;
SELECT title FROM notes WHERE rowid IN (1, 2, 3, 10) ORDER BY rowid DESC;
SELECT rowid, title FROM notes WHERE rowid > 1 ORDER BY rowid;
SELECT title FROM notes WHERE year IS NULL;
SELECT title FROM notes WHERE title LIKE 'n%' OR year = 2019 ORDER BY title;
SELECT count(*), min(year), max(year) FROM notes;
SELECT distance, k, recall, exact FROM notes WHERE rowid = 1;

-- Updates of any column, of several rows, of the rowid.
UPDATE notes SET year = year + 1 WHERE year IS NOT NULL;
UPDATE notes SET embedding = '[0, 0, 2]' WHERE title = 'up';
UPDATE notes SET body = 'now with a body' WHERE rowid = 2;
UPDATE notes SET rowid = 11 WHERE rowid = 10;
SELECT changes();
SELECT rowid, vec_to_json(embedding) AS v, title, year, body FROM notes ORDER BY rowid;
UPDATE notes SET title = NULL WHERE rowid = 11;
SELECT rowid, title FROM notes WHERE title IS NULL;

-- Conflicts.
INSERT INTO notes(rowid, embedding) VALUES (1, '[9, 9, 9]');
INSERT OR IGNORE INTO notes(rowid, embedding) VALUES (1, '[9, 9, 9]');
SELECT vec_to_json(embedding) FROM notes WHERE rowid = 1;
INSERT OR REPLACE INTO notes(rowid, embedding, title) VALUES (1, '[9, 9, 9]', 'replaced');
REPLACE INTO notes(rowid, embedding, title) VALUES (12, '[1, 1, 1]', 'new');
SELECT rowid, vec_to_json(embedding), title, year, body FROM notes ORDER BY rowid;
UPDATE notes SET rowid = 1 WHERE rowid = 2;
UPDATE OR REPLACE notes SET rowid = 1 WHERE rowid = 2;
SELECT rowid, title FROM notes ORDER BY rowid;
SELECT rowid, distance FROM notes WHERE embedding MATCH '[9, 9, 9]' AND k = 1;

-- Deletes.
DELETE FROM notes WHERE rowid = 12;
DELETE FROM notes WHERE rowid = 12;
SELECT changes();
DELETE FROM notes WHERE title = 'blob';
SELECT rowid FROM notes ORDER BY rowid;
DELETE FROM notes;
SELECT count(*) FROM notes;
SELECT rowid FROM notes WHERE embedding MATCH '[1, 1, 1]' AND k = 5;
INSERT INTO notes(embedding, title) VALUES ('[1, 2, 3]', 'again');
SELECT rowid, title FROM notes;

-- A named key, NOT NULL, and large rowids.
CREATE VIRTUAL TABLE keyed USING shardex(id integer primary key, v float[2], tag text not null);
INSERT INTO keyed VALUES (9223372036854775807, '[1, 2]', 'last'), (-9223372036854775808, '[3, 4]', 'first');
SELECT id, rowid, vec_to_json(v), tag FROM keyed ORDER BY id;
SELECT tag FROM keyed WHERE id = 9223372036854775807;
INSERT INTO keyed(id, v) VALUES (1, '[1, 2]');
INSERT INTO keyed(id, v, tag) VALUES (1, '[1, 2]', 'one');
UPDATE keyed SET tag = NULL WHERE id = 1;
UPDATE keyed SET id = 2 WHERE id = 1;
SELECT id, tag FROM keyed WHERE v MATCH '[1, 2]' AND k = 2;

-- Functions.
SELECT vec_to_json(vec_f32('[1, 2.5, -3e2]')), vec_length('[1, 2, 3]'), length(vec_f32('[1, 2]'));
SELECT vec_distance_l2('[0, 0]', '[3, 4]'), vec_distance_cosine('[1, 0]', '[0, 2]');
SELECT vec_distance_ip('[1, 2]', '[3, 4]');
SELECT shardex_version() LIKE '0.%';
