#!/bin/sh
# Each header compiles alone: headers.sh ROOT COMPILER FLAG …
set -u
root=$1
shift
checked=0
failed=0
for header in "$root"/engine/*.h "$root"/ext/*.h; do
    checked=$((checked + 1))
    printf '#include "%s"\n' "$header" | "$@" -fsyntax-only -x c - || failed=$((failed + 1))
done
echo "$checked headers, $failed do not compile alone"
[ "$checked" -gt 20 ] && [ "$failed" -eq 0 ]
