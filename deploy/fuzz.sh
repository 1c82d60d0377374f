#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz with AddressSanitizer and UBSan, two at a time.
#   deploy/fuzz.sh [seconds [target …]]     default: 600 seconds for each of all targets
# It begins with tests/fuzz/corpus and with what earlier runs left in build/fuzz/work. A finding ends with
# its input's path in build/fuzz/findings and exit code 1; mended, the input belongs into the corpus,
# which every test run replays. Needs clang (Debian: clang, libclang-rt-14-dev).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
targets=("$@")
# All that tests/fuzz/CMakeLists.txt has.
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^saed_fuzz(\([a-z0-9_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
command -v clang++ >/dev/null || { echo "install clang and libclang-rt-14-dev first" >&2; exit 2; }
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"
findings=$PWD/build/fuzz/findings
mkdir -p "$findings"

fuzz() {
  local target=$1 work=build/fuzz/work/$1
  mkdir -p "$work"
  # HDF5 keeps small pools; a leak of ours would grow past the limit of memory.
  # Readers are shut in as the reading process is (tests/fuzz/shut_in.cc).
  if SAED_FUZZ_SHUT_IN=1 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
    build/fuzz/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
    -max_len=8192 -artifact_prefix="$findings/$target-" "$work" "tests/fuzz/corpus/$target" \
    >"$findings/$target.log" 2>&1; then
    grep -h '^Done' "$findings/$target.log" | sed "s/^/$target: /"
  else
    echo "$target: FOUND"
    grep -hE '==ERROR|== ERROR|runtime error|SUMMARY|Test unit' "$findings/$target.log" | sed "s/^/$target: /"
    return 1
  fi
}
export -f fuzz
export seconds findings
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'fuzz {}'
