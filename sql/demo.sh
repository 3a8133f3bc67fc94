#!/bin/sh
# Loads 20,000 English word vectors into build/demo.db and asks them questions. Works from any folder; takes under a
# minute the first time, when it builds. What it runs stands in sql/demo/*.sql.
set -eu
cd "$(dirname "$0")/.."
. sql/build.sh

install_missing
build build -- shardex.so

rm -rf build/demo.db build/demo.db-wal build/demo.db-shm build/demo.db-journal build/demo.db-shardex
python3 sql/demo/words.py sql/demo/words-20k >build/demo-words.csv
for step in sql/demo/[1-9]-*.sql; do
    sqlite3 -batch -bail -init /dev/null -cmd '.load ./build/shardex' build/demo.db <"$step"
done
rm -f build/demo-words.csv

cat <<'END'

The database stays in build/demo.db, its index in build/demo.db-shardex (delete that folder whenever you like: the
answers stay right). To go on playing:

    sqlite3 -cmd '.load ./build/shardex' build/demo.db

    SELECT word, distance FROM words
     WHERE embedding MATCH (SELECT embedding FROM words WHERE word = 'ocean') AND k = 10;
END
