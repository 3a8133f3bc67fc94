-- Filters on other columns hold before the nearest are counted: ten rows asked for, ten rows found.
.mode column --wrap 0
.headers on
.print
.print '== Near to «music», but only rare words of at most six letters that begin with s =='
SELECT word, rank, round(distance, 4) AS distance
  FROM words
 WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'music')
   AND rank > 2000 AND length <= 6 AND word GLOB 's*'
 ORDER BY distance
 LIMIT 10;

.print
.print '== Everything within a distance of 0.3 of «blue» =='
SELECT word, round(distance, 4) AS distance
  FROM words
 WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'blue') AND distance < 0.3
 ORDER BY distance;
