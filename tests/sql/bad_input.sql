-- One table of bad input: each statement is refused with a message that says what was read and what was expected, and
-- changes nothing.

-- Declarations.
CREATE VIRTUAL TABLE bad USING shardex();
CREATE VIRTUAL TABLE bad USING shardex(title text);
CREATE VIRTUAL TABLE bad USING shardex(v float[0]);
CREATE VIRTUAL TABLE bad USING shardex(v float[65536]);
CREATE VIRTUAL TABLE bad USING shardex(v float[-3]);
CREATE VIRTUAL TABLE bad USING shardex(v float[abc]);
CREATE VIRTUAL TABLE bad USING shardex(v float 3]);
CREATE VIRTUAL TABLE bad USING shardex(v float[99999999999999999999]);
CREATE VIRTUAL TABLE bad USING shardex(v quux[3]);
CREATE VIRTUAL TABLE bad USING shardex(v float16[8]);
CREATE VIRTUAL TABLE bad USING shardex(v bit[12]);
CREATE VIRTUAL TABLE bad USING shardex(v bit[16] distance_metric=l2);
CREATE VIRTUAL TABLE bad USING shardex(v int8[8] distance_metric=hamming);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], w float[3]);
CREATE VIRTUAL TABLE bad USING shardex(v float[3] distance_metric=manhattan);
CREATE VIRTUAL TABLE bad USING shardex(v float[3] metric=l2);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], colour=blue);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], recall=2);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], recall=often);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], shard_size=-1);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], title text, title text);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], distance text);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], bad text);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], id integer primary key, other integer primary key);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], id text primary key);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], title strange);
CREATE VIRTUAL TABLE bad USING shardex(v float[3], seen real time key);
SELECT count(*) FROM sqlite_schema;

CREATE VIRTUAL TABLE t USING shardex(v float[3], n integer not null, title text);
INSERT INTO t(rowid, v, n, title) VALUES (1, '[1, 2, 3]', 1, 'one'), (2, '[4, 5, 6]', 2, 'two');

-- Vectors that cannot be stored.
INSERT INTO t(v, n) VALUES ('[1, 2]', 3);
INSERT INTO t(v, n) VALUES ('[1, 2, 3, 4]', 3);
INSERT INTO t(v, n) VALUES (x'0000803f', 3);
INSERT INTO t(v, n) VALUES (x'0000803f00', 3);
INSERT INTO t(v, n) VALUES (x'000000000000f03f00000000000000400000000000000840', 3); -- doubles
INSERT INTO t(v, n) VALUES ('[1, 2, 3, 4, 5, 6]', 3);
INSERT INTO t(v, n) VALUES (x'', 3);
INSERT INTO t(v, n) VALUES ('[]', 3);
INSERT INTO t(v, n) VALUES ('', 3);
INSERT INTO t(v, n) VALUES ('1, 2, 3', 3);
INSERT INTO t(v, n) VALUES ('[1, 2, 3', 3);
INSERT INTO t(v, n) VALUES ('[1, two, 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, 2,, 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, 2, 3,]', 3);
INSERT INTO t(v, n) VALUES ('[1, 2, 3] and more', 3);
INSERT INTO t(v, n) VALUES ('[1, [2], 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, null, 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, NaN, 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, 1e999, 3]', 3);
INSERT INTO t(v, n) VALUES ('[1, 1e39, 3]', 3);
INSERT INTO t(v, n) VALUES (x'0000c07f0000803f0000803f', 3);
INSERT INTO t(v, n) VALUES (x'0000803f0000807f0000803f', 3);
INSERT INTO t(v, n) VALUES (NULL, 3);
INSERT INTO t(n) VALUES (3);
INSERT INTO t(v, n) VALUES (17, 3);
INSERT INTO t(v, n) VALUES (1.5, 3);
UPDATE t SET v = '[1, 2]' WHERE rowid = 1;
UPDATE t SET v = NULL WHERE rowid = 1;

-- Rows that cannot be stored.
INSERT INTO t(v) VALUES ('[1, 2, 3]');
UPDATE t SET n = NULL WHERE rowid = 1;
INSERT INTO t(rowid, v, n) VALUES (1, '[1, 2, 3]', 1);
INSERT INTO t(rowid, v, n) VALUES ('one', '[1, 2, 3]', 1);
INSERT INTO t(v, n, nosuch) VALUES ('[1, 2, 3]', 1, 2);

-- Queries that cannot be answered.
SELECT rowid FROM t WHERE v MATCH '[1, 2]' AND k = 1;
SELECT rowid FROM t WHERE v MATCH x'0000803f' AND k = 1;
SELECT rowid FROM t WHERE v MATCH x'000000000000f03f00000000000000400000000000000840' AND k = 1;
SELECT rowid FROM t WHERE v MATCH '[1, 2, oops]' AND k = 1;
SELECT rowid FROM t WHERE v MATCH NULL AND k = 1;
SELECT rowid FROM t WHERE v MATCH 5 AND k = 1;
SELECT rowid FROM t WHERE v MATCH x'0000c07f0000803f0000803f' AND k = 1;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = -1;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 'many';
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1.5;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = NULL;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND recall = 0;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND recall = 1.5;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND recall = 'good';
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND exact = 'yes';
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND exact = NULL;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND recall >= 0.9;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k <= 10;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k BETWEEN 1 AND 10 AND exact IS 1;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND k = 1 AND k > 0;
SELECT rowid FROM t WHERE k = 1;
SELECT rowid FROM t WHERE exact = 1;
SELECT rowid FROM t WHERE title MATCH 'one';
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' AND v MATCH '[4, 5, 6]' AND k = 1;
SELECT rowid FROM t WHERE v MATCH '[1, 2, 3]' OR rowid = 1;

-- Commands and functions.
INSERT INTO t(t) VALUES ('defragment');
INSERT INTO t(t) VALUES (NULL);
INSERT INTO t(t) VALUES (42);
SELECT shardex_info('nosuch');
SELECT shardex_info(NULL);
SELECT shardex_recall('t', 0, 10);
SELECT shardex_recall('t', 10, -1);
SELECT shardex_recall('nosuch', 10, 10);
SELECT vec_f32('[1, 2'), 1;
SELECT vec_length(3);
SELECT vec_distance_l2('[1, 2]', '[1, 2, 3]');
SELECT vec_distance_cosine('[1]', NULL);

-- After all this the table is as it was.
SELECT rowid, vec_to_json(v), n, title FROM t;
SELECT rowid, distance FROM t WHERE v MATCH '[1, 2, 3]' AND k = 5;
INSERT INTO t(t) VALUES ('integrity-check');

-- Vectors of other element types.
CREATE VIRTUAL TABLE i USING shardex(v int8[2]);
CREATE VIRTUAL TABLE h USING shardex(v f16[2]);
CREATE VIRTUAL TABLE b USING shardex(v bit[16]);
INSERT INTO i(v) VALUES ('[1, 128]');
INSERT INTO i(v) VALUES ('[-129, 1]');
INSERT INTO i(v) VALUES ('[1, 1.5]');
INSERT INTO i(v) VALUES ('[1, nan]');
INSERT INTO i(v) VALUES (x'010203');
INSERT INTO i(v) VALUES (x'0000803f00004040'); -- floats
INSERT INTO i(v) VALUES (vec_f32('[1, 2]'));
INSERT INTO i(v) VALUES (vec_bit(x'0102'));
INSERT INTO h(v) VALUES ('[1, 65520]');
INSERT INTO h(v) VALUES (x'003c007c');
INSERT INTO h(v) VALUES (x'003c017e');
INSERT INTO h(v) VALUES (x'003c00');
INSERT INTO h(v) VALUES (vec_f32('[1, 1e30]'));
INSERT INTO h(v) VALUES (vec_int8('[1, 2]'));
INSERT INTO b(v) VALUES ('[1, 0]');
INSERT INTO b(v) VALUES (x'01');
INSERT INTO b(v) VALUES (x'01020304');
INSERT INTO b(v) VALUES (vec_int8('[1, 2]'));
SELECT rowid FROM b WHERE v MATCH x'010203' AND k = 1;
SELECT rowid FROM i WHERE v MATCH vec_f32('[1, 2]') AND k = 1;
SELECT vec_bf16('[4e38]');
SELECT vec_distance_hamming(vec_int8('[1]'), vec_int8('[2]'));
SELECT vec_distance_l2(vec_bit(x'01'), vec_bit(x'02'));
SELECT vec_distance_l1(vec_int8('[1]'), vec_f32('[2]'));
SELECT vec_quantize_int8('[1, 2]', 'minmax');
SELECT vec_quantize_binary('[1, 2]');
SELECT (SELECT count(*) FROM i) + (SELECT count(*) FROM h) + (SELECT count(*) FROM b) AS rows;
