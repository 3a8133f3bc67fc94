#!/bin/sh
# Lets libFuzzer loose on every fuzz target, or on those that are named, each for SECONDS:
#
#   sh run.sh [SECONDS [TARGET …]]
#
# Needs clang with its runtime (on Debian: clang and libclang-rt-14-dev). Starts from corpus/ (made by seeds.py) and
# from what earlier runs found, which is kept in build-fuzz/found/. An input that ends a target is left in
# build-fuzz/crash/: it belongs into corpus/<target>/ once its cause is mended. With FUZZ_VERBOSE=1 set, a
# target that is given one input says what SQL it runs and what comes of it.
set -eu
cd "$(dirname "$0")/../.."
. sql/build.sh
seconds=${1:-60}
[ $# -gt 0 ] && shift
folder=build-fuzz
targets=${*:-$(sed -n "s/^  '\([a-z_]*\)\.c',$/\1/p" tests/fuzz/meson.build)}

echo "Building …"
programs=
for target in $targets; do programs="$programs tests/fuzz/fuzz_$target"; done
# shellcheck disable=SC2086
CC=${CC:-clang} build $folder -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
    -Dfuzzer=true -- $programs

# A second is meant for a build without sanitizers, which are several times slower.
export ASAN_OPTIONS=quarantine_size_mb=16:detect_stack_use_after_return=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
failed=0
mkdir -p $folder/crash
for target in $targets; do
    mkdir -p "$folder/found/$target"
    if $folder/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -max_len=4096 -timeout=5 -entropic=0 \
        -report_slow_units=2 -malloc_limit_mb=256 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$folder/crash/$target-" "$folder/found/$target" "tests/fuzz/corpus/$target" \
        >"$folder/$target.log" 2>&1; then
        found="nothing found"
    else
        found="FAILED, see $folder/$target.log"
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$target.log")
    echo "$target: ${runs:-?} inputs, $found"
done
exit $failed
