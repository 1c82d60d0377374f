#!/usr/bin/env bash
# The unit tests under AddressSanitizer and UBSan, and those of the scheduler and the stores under
# ThreadSanitizer.
#   deploy/sanitize.sh [address | thread]
set -euo pipefail
cd "$(dirname "$0")/.."
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
which=${1:-both}
run() { # PRESET NAMES_OF_TESTS PROGRAM …
  local preset=$1 names=$2
  shift 2
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --target "$@"
  # From the folder of the programs that were built: others of this preset were not.
  ctest --test-dir "build/$preset/tests/unit" -j 2 -L unit -R "$names" --output-on-failure
  echo "$preset: clean ($SECONDS s)"
}
if [ "$which" != thread ]; then
  run asan-ubsan . base_test sae_test recordings_test features_test inference_test jobs_test report_test storage_test
fi
if [ "$which" != address ]; then
  run tsan '^(SchedulerOf|NiceArena|Attempts|Pieces|Storage|Backup)' jobs_test storage_test
fi
