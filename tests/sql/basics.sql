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

-- Vectors of every element type: stored at their own size, told apart by subtype.
CREATE VIRTUAL TABLE whole USING shardex(v int8[4] distance_metric=l1);
INSERT INTO whole(v) VALUES ('[1, -2, 3, 127]'), (vec_int8('[0, 0, 0, -128]')), (x'01020304');
SELECT rowid, vec_type(v), length(v), vec_to_json(v), vec_distance_l1(v, '[1, 1, 1, 1]') AS l1 FROM whole;
SELECT rowid, distance FROM whole WHERE v MATCH vec_int8('[1, 1, 1, 1]') AND k = 2;
CREATE VIRTUAL TABLE bits USING shardex(v bit[16]);
INSERT INTO bits(v)
VALUES (vec_bit(x'ff00')), (x'0f0f'), (vec_quantize_binary('[1,-1,1,-1,1,-1,1,-1,0,0,0,0,0,2,2,2]'));
SELECT rowid, vec_type(v), length(v), vec_length(v), vec_to_json(v) FROM bits;
SELECT rowid, distance, vec_distance_hamming(v, vec_bit(x'0f00')) AS hamming FROM bits WHERE v MATCH x'0f00' AND k = 3;
CREATE VIRTUAL TABLE half USING shardex(v f16[3]);
INSERT INTO half(v) VALUES ('[0.1, 65504, 1e-8]'), (vec_f32('[1, 2, 3]')), (vec_bf16('[0.5, 3, 4]')), (x'003c00400042');
SELECT rowid, vec_type(v), length(v), hex(v), vec_to_json(v) FROM half;
SELECT rowid, distance FROM half WHERE v MATCH '[1, 2, 3]' AND k = 3;
CREATE VIRTUAL TABLE brain USING shardex(v bf16[2] distance_metric=cosine);
INSERT INTO brain(v) VALUES ('[1, 1e38]'), ('[3, 4]');
SELECT rowid, hex(v), vec_to_json(vec_f32(v)) FROM brain WHERE v MATCH '[4, 3]' AND k = 1;
SELECT vec_to_json(vec_quantize_int8('[.1, -.1, .2, .3, 1, -1, 2]', 'unit')) AS quantized;
SELECT shardex_info('half') ->> 'element' AS element, shardex_info('bits') ->> 'metric' AS metric;
