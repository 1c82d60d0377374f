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

# The other tests run one at a time; lint and fuzzing use what they leave of the machine.
step "All other tests, linting, and fuzzing for half a minute each"
nice -n 19 deploy/lint.sh >build/lint.log 2>&1 &
lint=$!
nice -n 19 ctest --test-dir build/ci/tests/fuzz -L fuzz --output-on-failure >build/fuzz.log 2>&1 &
fuzz=$!
trap 'kill $lint $fuzz 2>/dev/null || true' EXIT
ctest --preset ci -LE 'unit|fuzz'

step "The rest of linting and fuzzing"
wait $lint || { cat build/lint.log; exit 1; }
cat build/lint.log
wait $fuzz || { cat build/fuzz.log; exit 1; }
cat build/fuzz.log
step "Done"
