-- A join runs one search for each row on its left side.
.mode column --wrap 0
.headers on
.print
.print '== A join: for words about size, the two nearest and their ranks =='
SELECT a.word, n.word AS near, n.rank, round(n.distance, 4) AS distance
  FROM words AS a
  JOIN words AS n ON n.embedding MATCH a.embedding AND n.k = 2
 WHERE a.word IN ('huge', 'tiny', 'average') AND n.word <> a.word
 ORDER BY a.word, n.distance;
