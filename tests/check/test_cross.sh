#!/usr/bin/env bash
# The executor and the functions of tables on 64-bit ARM: cross-compiled, their unit tests run by the emulator, the
# executor's with and without products of bytes, since this machine most likely is none; and a fault in each kernel there
# is seen.
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
echo "functions:"
qemu-aarch64 -L /usr/aarch64-linux-gnu "$build/test_functions"
echo "faults:"
qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu "$build/test_kernel_faults" neon dotprod
