#!/usr/bin/env bash
# A fuzz target that tries to open /etc/passwd, the network or a program, or to hold 3 GiB of memory,
# gets there without the guards and not with them.
#   probe.sh PROGRAM (file | network | program | memory)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "$2" >"$folder/input"
export ASAN_OPTIONS=detect_leaks=0
"$1" -rss_limit_mb=0 "$folder/input" >/dev/null 2>&1 || { echo "$2 is out of reach without the guards" >&2; exit 1; }
! SAED_FUZZ_SHUT_IN=1 "$1" -rss_limit_mb=0 "$folder/input" >"$folder/log" 2>&1 || { echo "$2 is within reach" >&2; exit 1; }
# It got as far as its input.
grep -q 'Running: ' "$folder/log" || { cat "$folder/log" >&2; exit 1; }
