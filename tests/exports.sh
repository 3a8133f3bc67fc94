#!/bin/sh
# The extension shows the host one symbol: exports.sh EXTENSION
set -eu
names=$(nm -D --defined-only "$1" | awk '{ print $NF }' | sort)
echo "$names"
[ "$names" = sqlite3_shardex_init ]
