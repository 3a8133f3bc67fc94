#!/bin/sh
# The NEON kernels, run where there is no ARM: builds the engine and the tests that depend on kernels for aarch64 and
# runs them under qemu, under each level. Skipped, with the reason, where a tool for that is missing. On Debian:
# apt-get install gcc-aarch64-linux-gnu qemu-user. Beside them stands cross/cmocka.h in place of the library.
#
# usage: neon.sh ROOT [COMPILER]
set -eu
root=$1
compiler=${2:-aarch64-linux-gnu-gcc}
tests="kernels kernels_encode element rotation quantizer cluster"

skip() {
    echo "skipped: $1"
    exit 77
}

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
command -v "$compiler" >/dev/null || skip "there is no $compiler"
[ -n "$qemu" ] || skip "there is no qemu-aarch64"
includes=$(pkg-config --variable=includedir libxxhash 2>/dev/null) || includes=/usr/include
[ -f "$includes/xxhash.h" ] || skip "there is no xxhash.h"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only this header, not what else belongs to this machine.
ln -s "$includes"/xxh*.h "$work"

set -- -O2 -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE -ffp-contract=off -I"$root/engine" -I"$root/tests/cross" \
    -I"$work"
for source in "$root"/engine/*.c; do
    "$compiler" "$@" -c "$source" -o "$work/$(basename "$source" .c).o"
done
if "${compiler%gcc}objdump" -d "$work"/*.o | grep -E '[[:blank:]]fn?m(add|sub|la|ls)[[:blank:]]'; then
    echo "a fused multiply-add: answers would differ between machines"
    exit 1
fi
for name in $tests; do
    "$compiler" "$@" "$root/tests/unit/${name}_test.c" "$work"/*.o -o "$work/$name" -static -lpthread -lm
    for level in scalar neon; do
        echo "== $name ($level)"
        SHARDEX_SIMD=$level "$qemu" "$work/$name"
    done
done
