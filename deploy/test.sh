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

step "All other tests"
ctest --preset ci -LE unit

step "Linting"
deploy/lint.sh
step "Done"
