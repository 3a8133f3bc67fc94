#!/bin/sh
# The single file is reproducible, compiles with the warnings as errors, and works: as a loadable extension in the
# sqlite3 shell, and linked into a program.
#
# usage: amalgamation.sh shardex.c SECOND/shardex.c HOST.c COMPILER FLAG …   (shardex.h stands beside each)
set -eu
folder=$(dirname "$1")
second=$(dirname "$2")
host=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmp "$folder/shardex.c" "$second/shardex.c"
cmp "$folder/shardex.h" "$second/shardex.h"
echo "two runs are byte-identical"

"$@" -O2 -fPIC -shared "$folder/shardex.c" -o "$work/shardex.so" -lpthread -lm
answer=$(sqlite3 -batch :memory: <<SQL
.load $work/shardex
CREATE VIRTUAL TABLE t USING shardex(v float[3]);
INSERT INTO t(rowid, v) VALUES (1, '[1, 0, 0]'), (2, '[0, 1, 0]'), (3, '[0, 0, 1]');
SELECT rowid, distance FROM t WHERE v MATCH '[0, 0.5, 1]' AND k = 2;
SQL
)
echo "$answer"
[ "$answer" = "$(printf '3|0.5\n2|1.11803398874989')" ]
echo "the loadable extension answers"

"$@" -O0 -DSQLITE_CORE -I"$folder" "$host" "$folder/shardex.c" -o "$work/host" -lsqlite3 -lpthread -lm
[ "$("$work/host")" = "2 0.5" ]
echo "the linked program answers"
