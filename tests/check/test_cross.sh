#!/usr/bin/env bash
# The executor on 64-bit ARM: cross-compiled, its unit test run by the emulator, with and without products of bytes, since
# this machine most likely is none.
set -euo pipefail
for tool in aarch64-linux-gnu-gcc qemu-aarch64 cmake ninja; do
  if ! command -v $tool >/dev/null; then
    echo "$tool is not installed (packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user): skipped"
    exit 77
  fi
done
build=$BITLATHE_BINARY/aarch64
cmake -G Ninja -S "$BITLATHE_SOURCE/tests/cross" -B "$build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_TOOLCHAIN_FILE="$BITLATHE_SOURCE/cmake/aarch64.cmake" >/dev/null
cmake --build "$build" | tail -n 3
for cpu in max cortex-a72; do # the latter has no products of bytes
  echo "on $cpu:"
  TEST_PART=5 qemu-aarch64 -cpu $cpu -L /usr/aarch64-linux-gnu "$build/test_exec"
done
