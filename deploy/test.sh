#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors, checks style and runs all tests.
#   deploy/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# A clone in another folder finds what was compiled in this one.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

step "Installing what is missing"
deploy/install.sh

step "Checking the format"
git ls-files '*.cc' '*.cpp' '*.h' | xargs clang-format --dry-run -Werror

step "Building"
cmake --preset ci >/dev/null
cmake --build --preset ci

step "Unit tests"
ctest --preset ci -L unit -j 2

# The other tests run one at a time; lint, the sanitizers and fuzzing use what they leave of the
# machine.
step "All other tests, linting, sanitizers, and fuzzing for half a minute each"
lint_and_sanitize() {
  deploy/lint.sh >build/lint.log 2>&1 || { cat build/lint.log; return 1; }
  cat build/lint.log
  # Compiled for the first time they may take longer than all of this may: what ccache kept of them
  # makes the next run shorter.
  local code=0 left=$((most - SECONDS))
  timeout "$((left > 1 ? left : 1))" deploy/sanitize.sh >build/sanitize.log 2>&1 || code=$?
  grep ': clean' build/sanitize.log || true
  if [ $code = 124 ]; then echo "sanitizers: not all within the time; deploy/sanitize.sh goes on"; fi
  if [ $code != 0 ] && [ $code != 124 ]; then tail -n 100 build/sanitize.log; return 1; fi
}
export -f lint_and_sanitize
export most=$((2100 - SECONDS)) # s that are left of 35 minutes
nice -n 19 bash -euo pipefail -c lint_and_sanitize >build/checks.log 2>&1 &
checks=$!
nice -n 19 ctest --test-dir build/ci/tests/fuzz -L fuzz --output-on-failure >build/fuzz.log 2>&1 &
fuzz=$!
trap 'kill $checks $fuzz 2>/dev/null || true' EXIT
ctest --preset ci -LE 'unit|fuzz'

step "The rest of linting, sanitizers and fuzzing"
wait $checks || { cat build/checks.log; exit 1; }
cat build/checks.log
wait $fuzz || { cat build/fuzz.log; exit 1; }
cat build/fuzz.log
step "Done"
