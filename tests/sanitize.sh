#!/bin/sh
# Long checks of threads and memory, which the usual run has no time for. Works from any folder.
#
#   sh tests/sanitize.sh thread     builds build-thread/ with ThreadSanitizer; runs what has threads
#   sh tests/sanitize.sh valgrind   builds build/; runs memcheck over tables, neighbours and short lives of the stress
#
# Any finding ends it with an error.
set -eu
cd "$(dirname "$0")/.."
. sql/build.sh

install_missing
case "${1:-}" in
thread)
    build build-thread -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
    # Not host_test: it forks beside a thread, and ThreadSanitizer lets such a child start none.
    export TSAN_OPTIONS=halt_on_error=1 SHARDEX_LIVES=3 SHARDEX_STEPS=800
    for name in threads pool commit near trigger party neighbours family table_stress; do
        echo "$name"
        "build-thread/tests/${name}_test"
    done
    ;;
valgrind)
    build build
    # No machine that valgrind knows has AVX-512.
    export SHARDEX_SIMD=avx2 SHARDEX_LIVES=2 SHARDEX_STEPS=150
    for name in table commit family table_stress; do
        echo "$name"
        valgrind --quiet --error-exitcode=9 --leak-check=full "build/tests/${name}_test"
    done
    # Their children are killed, or _exit, with databases open: in the middle of a COMMIT SQLite has its list of virtual
    # tables (sqlite3VtabBegin) in a register only, and the exit code of a leak would be taken for the child's own.
    for name in party neighbours; do
        echo "$name"
        valgrind --quiet --error-exitcode=9 --leak-check=no "build/tests/${name}_test"
    done
    ;;
*)
    echo "usage: sh tests/sanitize.sh thread|valgrind" >&2
    exit 2
    ;;
esac
