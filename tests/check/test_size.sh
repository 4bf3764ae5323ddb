#!/bin/bash
# The program, with all its commands, stripped, stays below 5 MB.
set -euo pipefail
limit=5000000
case ${BITLATHE_BINARY:-} in
*/release) ;;
*) echo "SKIPPED: only the release build is measured"; exit 77 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
strip -o "$folder/bitlathe" "$BITLATHE"
size=$(stat -c %s "$folder/bitlathe")
echo "$size bytes"
[ "$size" -lt $limit ] || { echo "expected fewer than $limit"; exit 1; }
"$folder/bitlathe" --version > /dev/null
