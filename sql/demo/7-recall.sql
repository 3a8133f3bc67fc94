-- The same 1,000 questions, asked of the index and asked exactly.
.mode column --wrap 0
.headers on
CREATE TEMP TABLE clock(event TEXT PRIMARY KEY, day REAL);
CREATE TEMP TABLE question AS SELECT rowid AS id, embedding FROM words WHERE rowid % 20 = 0;

INSERT INTO clock VALUES ('index starts', julianday('now'));
CREATE TEMP TABLE found AS
SELECT q.id AS question, n.rowid AS answer, n.distance
  FROM question AS q JOIN words AS n ON n.embedding MATCH q.embedding AND n.k = 10;
INSERT INTO clock VALUES ('index ends', julianday('now'));

INSERT INTO clock VALUES ('exact starts', julianday('now'));
CREATE TEMP TABLE truth AS
SELECT q.id AS question, n.rowid AS answer, n.distance
  FROM question AS q JOIN words AS n ON n.embedding MATCH q.embedding AND n.k = 10 AND n.exact = 1;
INSERT INTO clock VALUES ('exact ends', julianday('now'));

.print
.print '== How far from exact: 1,000 words asked for their 10 nearest, through the index and with exact = 1 =='
SELECT (SELECT count(*) FROM found JOIN truth USING (question, answer)) * 1.0 / (SELECT count(*) FROM truth) AS recall,
       round((SELECT sum(distance) FROM found) / (SELECT sum(distance) FROM truth), 4) AS "distances found / true",
       (SELECT count(*) FROM found JOIN truth USING (question, answer)
         WHERE abs(found.distance - truth.distance) > 1e-12) AS "wrong distances";

SELECT name AS way, round((ends.day - starts.day) * 86400 * 1000 / 1000, 3) AS "ms per query"
  FROM (SELECT 'index' AS name UNION ALL SELECT 'exact') AS way
  JOIN clock AS starts ON starts.event = name || ' starts'
  JOIN clock AS ends ON ends.event = name || ' ends';

.print
.print 'The table measures itself as well, on a sample of its own rows:'
SELECT shardex_recall('words', 10, 500) AS "shardex_recall('words', 10, 500)";
