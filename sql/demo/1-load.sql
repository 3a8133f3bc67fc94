-- A table of words: the vector and three ordinary columns. Run in the sqlite3 shell, in the project's root folder.
.print '== A table of 20,000 English words, each with a vector of 100 numbers =='
CREATE VIRTUAL TABLE words USING shardex(
    embedding float[100] distance_metric=cosine,
    word text,
    rank integer,      -- 1 = the most frequent word
    length integer
);

CREATE TEMP TABLE raw(rank INTEGER, word TEXT, vector TEXT);
.import --csv --schema temp build/demo-words.csv raw

-- One transaction, like any other INSERT … SELECT; vectors may be JSON text or BLOBs of 32-bit floats.
INSERT INTO words(rowid, embedding, word, rank, length)
SELECT rank, vector, word, rank, length(word) FROM raw;

-- Without this, the rows would be moved into searchable segments when the connection closes.
INSERT INTO words(words) VALUES ('flush');

.mode column --wrap 0
.headers on
SELECT count(*) AS words, max(length) AS longest, shardex_version() AS shardex FROM words;
