-- Changes are SQLite's own transactions: visible to this connection at once, to others with COMMIT, gone with ROLLBACK.
.mode column --wrap 0
.headers on
CREATE TEMP VIEW near_coffee AS
SELECT word, round(distance, 4) AS distance
  FROM words
 WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'coffee') AND k = 3;

.print
.print '== An update that is taken back. Before it: =='
SELECT * FROM near_coffee;

BEGIN;
UPDATE words SET embedding = (SELECT embedding FROM words WHERE word = 'coffee') WHERE word = 'granite';
.print
.print 'Inside the transaction, «granite» has the vector of «coffee»:'
SELECT * FROM near_coffee;
ROLLBACK;

.print
.print 'After ROLLBACK:'
SELECT * FROM near_coffee;

UPDATE words SET word = 'COFFEE' WHERE word = 'coffee';
.print
.print '«coffee» renamed, and found through its neighbour «tea»; then it gets its old name back:'
SELECT word, round(distance, 4) AS distance
  FROM words
 WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'tea') AND k = 3;
UPDATE words SET word = 'coffee' WHERE word = 'COFFEE';
