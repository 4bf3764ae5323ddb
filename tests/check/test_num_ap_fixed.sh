#!/bin/bash
# Fixed-point formats beside the ap_fixed C++ headers of the Python wheel hls4ml: all rounding x overflow modes.  What
# differs must be exactly what ap_fixed_differences.txt lists (docs/formats.md explains it); --rewrite makes that list.
set -eu
here=$BITLATHE_SOURCE/tests/check
types=$(ls -d "$BITLATHE_SOURCE"/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado/ap_types 2>/dev/null || true)
[ -n "$types" ] || { echo "SKIPPED: hls4ml's ap_types headers are not in build/venv"; exit 77; }
command -v g++ >/dev/null || { echo "SKIPPED: no C++ compiler"; exit 77; }
if nm "$BITLATHE_BINARY/src/libbitlathe.a" 2>/dev/null | grep -q '__asan_\|__tsan_'; then
    echo "SKIPPED: the library is built with a sanitizer"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
g++ -std=c++17 -O0 -w -I"$types" -I"$BITLATHE_SOURCE/include" "$here/ap_fixed_oracle.cpp" \
    "$BITLATHE_BINARY/src/libbitlathe.a" -lm -lpthread -o "$out/oracle"
"$out/oracle" >"$out/differences.txt"
if [ "${1:-}" = --rewrite ]; then
    cp "$out/differences.txt" "$here/ap_fixed_differences.txt"
    exit 0
fi
diff "$here/ap_fixed_differences.txt" "$out/differences.txt" && echo "ap_fixed: as listed"
