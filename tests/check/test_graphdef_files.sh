#!/bin/bash
# Frozen TensorFlow graphs of other people: text form and back gives the same bytes, a second time the same text, and a
# graph is equal to what was made of it.
set -euo pipefail
data=$BITLATHE_SOURCE/../shared/data/tf_pb
[ -d "$data" ] || { echo "SKIPPED: ../shared/data is not there"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
copy=$BITLATHE_BINARY/tests/tool_graphdef_copy
count=0
while IFS= read -r -d '' graph; do
    "$copy" binary "$graph" "$folder/once.pb"
    "$copy" text "$graph" "$folder/once.pbtxt"
    "$copy" binary "$folder/once.pbtxt" "$folder/again.pb"
    "$copy" text "$folder/again.pb" "$folder/again.pbtxt"
    cmp "$folder/once.pb" "$folder/again.pb"
    cmp "$folder/once.pbtxt" "$folder/again.pbtxt"
    count=$((count + 1))
done < <(find "$data" -name '*.pb' -print0)
[ "$count" -ge 10 ] || { echo "only $count graphs in $data"; exit 1; }
echo "$count graphs"
