-- The words nearest to a word: MATCH takes the vector, k says how many.
.mode column --wrap 0
.headers on
.print
.print '== The words nearest to «coffee» (distance = 1 - cosine) =='
SELECT word, round(distance, 4) AS distance
  FROM words
 WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'coffee') AND k = 8;

.print
.print '== … and to a few more, the word itself left out =='
WITH asked(word) AS (VALUES ('winter'), ('violin'), ('paris'), ('seven'), ('quickly'))
SELECT asked.word AS asked,
       (SELECT group_concat(near.word, ', ')
          FROM words AS near
         WHERE near.embedding MATCH (SELECT embedding FROM words AS w WHERE w.word = asked.word)
           AND near.k = 7 AND near.word <> asked.word) AS nearest
  FROM asked;
