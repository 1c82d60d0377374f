#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz with AddressSanitizer and UBSan, behind the guards of the reading
# process where it reads recordings.
#   deploy/fuzz.sh [seconds [target …]]     default: 600 seconds for each of all targets
#   JOBS=1 nice deploy/fuzz.sh 600 nwb alf  one at a time; default: two
# It begins with tests/fuzz/corpus and with what earlier runs left in build/fuzz/work. For each target it
# prints "TARGET: Done N runs in M second(s)" (a line for each start, where files broke a library of the
# system: tests/fuzz/library_faults.h), or what was found, with the input's path in
# build/fuzz/findings and exit code 1; mended, the input belongs into the corpus, which every test run
# replays. Needs clang (Debian: clang, libclang-rt-14-dev).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
targets=("$@")
command -v clang++ >/dev/null || { echo "install clang and libclang-rt-14-dev first" >&2; exit 2; }
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
cmake --preset fuzz >/dev/null
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cut -d' ' -f1 build/fuzz/fuzz/targets)
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}" -- -j "${JOBS:-2}"
findings=$PWD/build/fuzz/findings
mkdir -p "$findings"
# Files of the inputs need no disk.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm

fuzz() {
  local target=$1 work=build/fuzz/work/$1 most corpus=tests/fuzz/corpus/$1
  most=$(sed -n "s/^$target //p" build/fuzz/fuzz/targets)
  [ -d "$corpus" ] || corpus=tests/fuzz/corpus/spikes
  mkdir -p "$work"
  # HDF5 keeps small pools; a leak of ours would grow past the limit of memory. No file of this size
  # needs a GiB at once: C libraries are told that there is none, for ours it is a finding.
  # Behind the guards there is no program that knows the names of functions.
  if SAED_FUZZ_SHUT_IN=1 UBSAN_OPTIONS=symbolize=0 \
    ASAN_OPTIONS=detect_leaks=0:symbolize=0:allocator_may_return_null=1:max_allocation_size_mb=1024 \
    tests/fuzz/run.sh build/fuzz/fuzz/fuzz_"$target" "$seconds" -timeout=20 -rss_limit_mb=3000 \
    -print_funcs=0 -max_len="$most" -artifact_prefix="$findings/$target-" "$work" "$corpus" \
    >"$findings/$target.log" 2>&1; then
    grep -hE '^(Done|Ended)' "$findings/$target.log" | sed "s/^/$target: /"
  else
    echo "$target: FOUND"
    grep -hE '==ERROR|== ERROR|runtime error|SUMMARY|Test unit' "$findings/$target.log" | sed "s/^/$target: /"
    return 1
  fi
}
export -f fuzz
export seconds findings
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'fuzz {}'
