-- Files of vectors that others have written, made here byte by byte: what NumPy calls (2, 3) of '<f4', and .fvecs.
.mode list
SELECT writefile('a.npy', CAST(x'934e554d505901003b00' AS TEXT) ||
  '{''descr'': ''<f4'', ''fortran_order'': False, ''shape'': (2, 3), }' ||
  CAST(x'0000803f0000004000004040000080bf000000c0000040c0' AS TEXT));
SELECT writefile('a.fvecs', x'020000000000803f0000004002000000000040400000804002000000000000000000a040');
SELECT rowid, vec_type(vector), vec_to_json(vector) FROM shardex_npy('a.npy');
SELECT rowid, vec_to_json(vector) FROM shardex_fvecs('./a.fvecs') WHERE rowid > 0;

-- Into a table, and beside one.
CREATE VIRTUAL TABLE t USING shardex(v float[3]);
INSERT INTO t(rowid, v) SELECT rowid + 1, vector FROM shardex_npy('a.npy');
SELECT rowid, distance FROM t WHERE v MATCH '[1, 2, 3]' AND k = 2;
SELECT f.rowid, t.rowid, t.distance FROM shardex_npy('a.npy') AS f JOIN t ON t.v MATCH f.vector AND k = 1;
CREATE VIRTUAL TABLE half USING shardex(v f16[2] distance_metric=ip);
INSERT INTO half(v) SELECT vector FROM shardex_fvecs('a.fvecs');
SELECT rowid, vec_to_json(v) FROM half;

-- What is no such file.
SELECT * FROM shardex_npy('a.fvecs');
SELECT * FROM shardex_fvecs('a.npy');
SELECT * FROM shardex_npy('b.npy');
SELECT * FROM shardex_npy('.');
SELECT * FROM shardex_npy('/dev/zero');
SELECT * FROM shardex_npy(NULL);
SELECT * FROM shardex_npy;
SELECT writefile('a.fvecs', x'020000000000803f000000400200000000004040');
SELECT * FROM shardex_fvecs('a.fvecs');
SELECT writefile('a.fvecs', x'010000000000803f020000000000803f');
SELECT vec_to_json(vector) FROM shardex_fvecs('a.fvecs');
SELECT writefile('a.npy', CAST(x'934e554d505901003b00' AS TEXT) ||
  '{''descr'': ''<f4'', ''fortran_order'': True, ''shape'': (9, 9, 9)}');
SELECT * FROM shardex_npy('a.npy');

-- No schema may ask for files.
CREATE VIEW files AS SELECT * FROM shardex_npy('a.npy');
SELECT * FROM files;
CREATE TABLE log(x);
CREATE TRIGGER peek AFTER INSERT ON log BEGIN INSERT INTO t(v) SELECT vector FROM shardex_npy('a.npy'); END;
INSERT INTO log VALUES (1);
