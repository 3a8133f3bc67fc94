-- The functions on vectors, those of sqlite-vec and more, and the table functions.
.mode list

-- Sums, differences, lengths, slices, with the type of what comes in.
SELECT vec_to_json(vec_add('[.1, .2, .3]', '[.4, .5, .6]')), vec_to_json(vec_sub('[.1, .2, .3]', '[.4, .5, .6]'));
SELECT vec_to_json(vec_add(vec_int8('[1, 2, 3]'), vec_int8('[4, 5, 127]'))), vec_type(vec_sub(vec_f16('[1]'), '[2]'));
SELECT vec_to_json(vec_normalize('[2, 3, 1, -4]')), vec_to_json(vec_normalize('[0, 0]'));
SELECT vec_to_json(vec_slice('[1, 2, 3, 4]', 0, 3)), hex(vec_slice(vec_bit(x'AABBCCDD'), 8, 24));
SELECT vec_length(vec_slice(vec_quantize_binary('[1,-1,1,-1,1,-1,1,-1,1,1,1,1,1,1,1,1]'), 0, 8));
SELECT vec_version() LIKE 'v%', vec_debug() LIKE 'Version: v%';

-- What is wrong with arguments.
SELECT vec_add('[1]', '[1, 2]');
SELECT vec_sub(vec_f32('[1]'), vec_int8('[1]'));
SELECT vec_add(vec_bit(x'01'), vec_bit(x'01'));
SELECT vec_add('[1]', NULL);
SELECT vec_add('[3e38]', '[3e38]');
SELECT vec_normalize(vec_int8('[1]'));
SELECT vec_normalize('');
SELECT vec_slice('[1, 2, 3]', -1, 1);
SELECT vec_slice('[1, 2, 3]', 0, 4);
SELECT vec_slice('[1, 2, 3]', 1, 1);
SELECT vec_slice(vec_bit(x'0102'), 4, 8);
SELECT vec_slice('[1, 2, ]', 0, 1);
SELECT vec_f32(zeroblob(262144));
SELECT vec_bit(3);
SELECT vec_int8(NULL);

-- A row for each dimension.
SELECT rowid, value, typeof(value) FROM vec_each('[1, 2.5]');
SELECT rowid, value, typeof(value) FROM vec_each(vec_int8('[1, -2]'));
SELECT group_concat(value, '') FROM vec_each(vec_bit(x'0180'));
SELECT * FROM vec_each;
SELECT * FROM vec_each('1');

-- Averages of the vectors in a table.
CREATE VIRTUAL TABLE notes USING shardex(v float[3], lang text);
INSERT INTO notes(rowid, v, lang) VALUES (1, '[1, 0, 0]', 'en'), (2, '[0, 1, 0]', 'en'), (3, '[0, 0, 1]', 'de');
SELECT lang, vec_to_json(vec_avg(v)), vec_to_json(vec_sum(v)), vec_type(vec_sum(v)) FROM notes GROUP BY lang;
SELECT notes.rowid, round(distance, 4) FROM notes
 WHERE v MATCH (SELECT vec_avg(v) FROM notes WHERE lang = 'en') AND k = 2;
SELECT vec_avg(v) IS NULL, vec_sum(v) IS NULL FROM notes WHERE lang = 'fr';
SELECT vec_avg(v) FROM (SELECT v FROM notes UNION ALL SELECT '[1]');
SELECT n.rowid, sum(e.value) FROM notes AS n, vec_each(n.v) AS e GROUP BY n.rowid;

CREATE VIRTUAL TABLE small USING shardex(v int8[2]);
INSERT INTO small(v) VALUES ('[127, 1]'), ('[127, 2]');
SELECT vec_to_json(vec_sum(v)), vec_to_json(vec_avg(v)), vec_type(vec_avg(v)) FROM small;

-- Segments and shards: before the first flush, after it, with dead rows.
SELECT count(*) FROM shardex_segments('notes');
CREATE VIRTUAL TABLE wide USING shardex(v float[8]);
INSERT INTO wide(rowid, v) WITH RECURSIVE i(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM i WHERE i < 500)
SELECT i, json_array(i, i % 7, i % 11, i % 13, 1, 2, 3, 4) FROM i;
INSERT INTO wide(wide) VALUES ('optimize');
DELETE FROM wide WHERE rowid <= 20;
SELECT rows, dead, shards > 1, bytes > 16000, file GLOB 'segment-????????????????' FROM shardex_segments('wide');
SELECT sum(rows), sum(dead), min(open), max(segments), min(scatter) > 0, count(DISTINCT shard) = count(*)
  FROM shardex_shards('wide');
SELECT (SELECT count(*) FROM shardex_shards('wide')) = value FROM shardex_stats('wide') WHERE name = 'shards';
SELECT count(*) FROM shardex_shards('wide', 'main') AS a JOIN shardex_shards('main.wide') AS b USING (shard, rows)
 WHERE a.rowid <> b.rowid;
SELECT * FROM shardex_shards;
SELECT * FROM shardex_segments('nothing');
SELECT * FROM shardex_shards(NULL);
DELETE FROM shardex_shards;
CREATE VIEW shards AS SELECT * FROM shardex_shards('wide');
SELECT * FROM shards;

-- Ids that sort by the time they were made; the spec's example, in either case and as bytes.
SELECT length(shardex_ulid()), typeof(shardex_ulid()), shardex_ulid() < shardex_ulid();
SELECT abs(shardex_ulid_time(shardex_ulid()) - (julianday('now') - 2440587.5) * 86400) < 600;
WITH RECURSIVE i(i, u) AS (SELECT 1, shardex_ulid() UNION ALL SELECT i + 1, shardex_ulid() FROM i WHERE i < 5000)
SELECT count(*), count(DISTINCT u), sum(u > before) FROM (SELECT u, lag(u) OVER (ORDER BY i) AS before FROM i);
SELECT datetime(shardex_ulid_time('01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'unixepoch') AS at,
  shardex_ulid_time('01arz3ndektsv4rrffq69g5fav');
SELECT shardex_ulid_time(x'01563e3ab5d3d6764c61efb99302bd5b'), shardex_ulid_time(NULL);
SELECT shardex_ulid_time('00000000000000000000000000'), shardex_ulid_time('7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
SELECT shardex_ulid_time('8ZZZZZZZZZZZZZZZZZZZZZZZZZ');
SELECT shardex_ulid_time('01ARZ3NDEKTSV4RRFFQ69G5FAU');
SELECT shardex_ulid_time('01ARZ3NDEKTSV4RRFFQ69G5FA');
SELECT shardex_ulid_time(x'01');
SELECT shardex_ulid_time(12);
