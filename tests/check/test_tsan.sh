#!/bin/bash
# Every test that says "Run under TSan" in its first lines holds under the thread sanitizer.
set -euo pipefail
cd "$BITLATHE_SOURCE"
names=$(grep -l 'Run under TSan' tests/quick/test_*.c | xargs -n1 basename | sed 's/\.c$//')
tools/build tsan $names >build/tsan.log 2>&1 || { tail -40 build/tsan.log; exit 1; }
for name in $names; do
    echo "== $name"
    (cd tests && "$BITLATHE_SOURCE/build/tsan/tests/$name")
done
