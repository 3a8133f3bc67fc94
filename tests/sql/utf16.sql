-- In a database of UTF-16 the order of text is another one.
PRAGMA encoding='UTF-16';
CREATE VIRTUAL TABLE t USING shardex(v float[1], x text);
CREATE TABLE p(id integer primary key, x text);
INSERT INTO p VALUES (1,'a'),(2,'Ā'),(3,'b'),(4,'é'),(5,'€'),(6,'z'),(7,'😀'),(8,'豈');
INSERT INTO t(rowid,v,x) SELECT id, json_array(id), x FROM p;
SELECT 'plain', group_concat(id) FROM p WHERE x < 'b';
SELECT 'vtab', group_concat(rowid) FROM t WHERE x < 'b';
SELECT 'match', group_concat(rowid) FROM t WHERE v MATCH '[0]' AND k=10 AND x < 'b';
SELECT 'plain', group_concat(id) FROM p WHERE x > '豈';
SELECT 'match', group_concat(rowid) FROM t WHERE v MATCH '[0]' AND k=10 AND x > '豈';
SELECT 'plain', group_concat(id) FROM p WHERE x = 'é';
SELECT 'match', group_concat(rowid) FROM t WHERE v MATCH '[0]' AND k=10 AND x = 'é';
