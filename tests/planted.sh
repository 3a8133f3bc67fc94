#!/bin/sh
# Tries the tests on deliberate defects: each one of planted.txt must make a test fail that passes without it.
#
#   sh tests/planted.sh           all of them; writes tests/planted.md
#   sh tests/planted.sh 9 12 35   these only; prints what caught them
#
# One build holds all defects (build-planted/); SHARDEX_PLANTED_BUG says which one a process has. Where none of the
# tests that a defect's row names fails, the whole suite has a try.
set -eu
cd "$(dirname "$0")/.."
. sql/build.sh

list=tests/planted.txt
processor=300 # seconds of it: a test that takes more does not end
seconds=1800  # and of time
logs=build-planted/planted
export SHARDEX_SIM_COUNT="${SHARDEX_SIM_COUNT:-1}"

# field NUMBER FIELD: a defect's field of the list, without blanks around it.
field() {
    awk -F '|' -v number="$1" -v field="$2" '$1 + 0 == number && !/^#/ {
        gsub(/^ +| +$/, "", $field); print $field }' "$list"
}

# fails NUMBER TEST: does the test notice the defect? Its output goes to a log.
fails() {
    ! (ulimit -t "$processor" && SHARDEX_PLANTED_BUG="$1" exec timeout "$seconds" "build-planted/tests/${2}_test") \
        > "$logs/$1-$2" 2>&1
}

# case_of LOG: the first case that failed, or the one that the process ended in.
case_of() {
    name=$(sed -n 's/^\[  FAILED  \] \([A-Za-z0-9_]*\)$/\1/p' "$1" | head -n 1)
    [ -n "$name" ] || name=$(sed -n 's/^\[ RUN      \] //p' "$1" | tail -n 1)
    echo "$name"
}

# suite NUMBER: what of the whole suite notices the defect.
suite() {
    SHARDEX_PLANTED_BUG="$1" meson test -C build-planted --no-rebuild --suite unit --suite sql \
        > "$logs/$1-suite" 2>&1 ||
        sed -n 's/^ *[0-9]*\/[0-9]* shardex:[^ ]* *\/ *\(.*[^ ]\)  *\(FAIL\|TIMEOUT\|ERROR\).*/\1/p' "$logs/$1-suite" |
        head -n 1
}

# caught NUMBER: prints by what.
caught() {
    for test in $(field "$1" 3); do
        if fails "$1" "$test"; then
            echo "${test}_test: $(case_of "$logs/$1-$test")"
            return
        fi
    done
    suite "$1"
}

install_missing
build build-planted -Dplanted_bugs=true
mkdir -p "$logs"
all=$(awk -F '|' '!/^#/ { print $1 + 0 }' "$list")
numbers=${*:-$all}

echo "Without a defect all tests must pass …"
for test in $(for number in $numbers; do field "$number" 3; done | tr ' ' '\n' | sort -u); do
    if fails 0 "$test"; then
        echo "${test}_test fails by itself: $(case_of "$logs/0-$test")"
        exit 1
    fi
done

table=build-planted/planted.md
missed=0
cat > "$table" <<'HEAD'
# Deliberate defects, and what catches them

Written by `planted.sh`, which builds the defects of `planted.txt` in and runs tests until one fails that passes
without them.

| # | defect | caught by |
|---|---|---|
HEAD
for number in $numbers; do
    by=$(caught "$number")
    [ -n "$by" ] || missed=$((missed + 1))
    echo "| $number | $(field "$number" 2) | ${by:-nothing} |" | tee -a "$table"
done
[ $# -gt 0 ] || cp "$table" tests/planted.md
echo "$(echo $numbers | wc -w) defects, $missed missed"
[ "$missed" -eq 0 ]
