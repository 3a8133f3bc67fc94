#!/bin/sh
# Builds everything and runs every test; the last line counts them. Works from any folder.
#
#   build/       optimised, assertions off: unit tests, SQL scripts, style, amalgamation, instructions of the hot path
#   build-asan/  assertions on, address and undefined-behaviour sanitizers: unit tests, SQL scripts, fuzz corpora
#
# Longer: tests/sanitize.sh (threads, memcheck), tests/fuzz/run.sh, tests/planted.sh; meson test -C build --suite soak.
set -eu
cd "$(dirname "$0")/.."
. sql/build.sh

install_missing
passed=0
failed=0

# count FOLDER: adds the results of the last test run in that build folder.
count() {
    results=$(python3 tests/count.py "$1/meson-logs/testlog.json")
    passed=$((passed + ${results% *}))
    failed=$((failed + ${results#* }))
}

echo "Building with optimisation …"
build build
meson test -C build --no-rebuild --print-errorlogs || true
count build

echo "Building with the sanitizers …"
build build-asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
meson test -C build-asan --no-rebuild --print-errorlogs --suite unit --suite sql --suite fuzz || true
count build-asan

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
