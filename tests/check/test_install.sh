#!/bin/bash
# What is installed serves a stranger: the program runs, every header stands alone in C and C++, and a small program
# builds and runs through pkg-config and through CMake, with the shared and with the static library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
cmake --install "$BITLATHE_BINARY" --prefix "$prefix" >/dev/null
# Moved after installing: nothing may remember the first place.
mv "$prefix" "$folder/moved"
prefix=$folder/moved
libdir=$(dirname "$(find "$prefix" -name libbitlathe.a)")

"$prefix/bin/bitlathe" --help >/dev/null
for name in transform_graph summarize_graph compare_graphs label_image benchmark_model; do
    status=0
    "$prefix/bin/$name" --no_such_flag 2>"$folder/usage" || status=$?
    if [ "$status" != 255 ] || ! grep -q "^usage: $name" "$folder/usage"; then
        echo "$name: status $status"
        exit 1
    fi
done

for header in "$prefix"/include/bitlathe/*.h; do
    echo "#include \"bitlathe/$(basename "$header")\"" >"$folder/one.c"
    cc -std=c17 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only "$folder/one.c"
    c++ -x c++ -std=c++17 -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only "$folder/one.c"
done

mkdir "$folder/consumer"
cat >"$folder/consumer/main.c" <<'C'
#include <stdio.h>
#include <string.h>

#include <bitlathe/bitlathe.h>

int main(void)
{
    bl_context *ctx;
    bl_format f;
    bl_tensor t;
    bl_graph *g;
    if (bl_context_create(NULL, &ctx) != BL_OK || bl_format_parse(ctx, "fixed<6,1,RND,SAT>", &f) != BL_OK)
        return 1;
    /* Readers pull in every library that a static link needs. */
    if (bl_npy_read(ctx, "absent.npy", &t) != BL_NOT_FOUND || bl_model_read(ctx, "absent.onnx", &g) != BL_NOT_FOUND)
        return 2;
    puts(bl_version());
    bl_context_destroy(ctx);
    return 0;
}
C
cat >"$folder/consumer/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(bitlathe 0.1 REQUIRED)
foreach(kind static shared)
  add_executable(with_${kind} main.c)
  target_link_libraries(with_${kind} PRIVATE bitlathe::${kind})
endforeach()
C

cmake -S "$folder/consumer" -B "$folder/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$folder/build" >/dev/null
version=$("$folder/build/with_static")
[ "$("$folder/build/with_shared")" = "$version" ]

export PKG_CONFIG_PATH=$libdir/pkgconfig
[ "$(pkg-config --modversion bitlathe)" = "$version" ]
cc "$folder/consumer/main.c" $(pkg-config --cflags --libs bitlathe) -o "$folder/shared"
[ "$(LD_LIBRARY_PATH=$libdir "$folder/shared")" = "$version" ]
cc "$folder/consumer/main.c" $(pkg-config --cflags bitlathe) "$libdir/libbitlathe.a" \
    $(pkg-config --static --libs-only-l bitlathe | sed 's/-lbitlathe//') -pthread -o "$folder/static"
[ "$("$folder/static")" = "$version" ]

exported=$(nm -D --defined-only "$libdir/libbitlathe.so" | awk '{print $3}' | grep -v '^bl_' || true)
if [ -n "$exported" ]; then
    echo "the shared library exports what is not in a public header:" $exported
    exit 1
fi
echo "installed, moved, and used in four ways: $version"
