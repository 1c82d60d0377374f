#!/usr/bin/env bash
# clang-tidy over our C++ (after a build with the preset ci) and, where npm is, buf over proto/.
set -euo pipefail
cd "$(dirname "$0")/.."
# Files that include generated gRPC headers take half a minute each; the compiler's own warnings
# must do for those.
files=$(git ls-files 'server/*.cc' 'storage/*.cc' | grep -v '^server/rpc/' | grep -v daemon |
  grep -v 'kernels/avx512\|kernels/amx\|kernels/vnni')  # clang does not know GCC's flags of these
# Each file is read as it stands: by itself, and without GCC's precompiled headers, which are not
# clang's.
cmake --preset ci -B build/lint/commands -DSAED_UNITY=OFF >/dev/null
sed -E 's/ -Winvalid-pch| -include [^ ]*cmake_pch\.hxx//g' build/lint/commands/compile_commands.json \
  >build/lint/compile_commands.json
tidy() {
  xargs -P 2 -n 3 clang-tidy -p build/lint --quiet <<<"$files" 2>&1 |
    { grep -v 'warnings generated\|Suppressed\|Use -header-filter' || true; }
}
tidy
echo "clang-tidy: clean"
if command -v npm >/dev/null; then
  mkdir -p build/npm
  cp tests/tools/npm/package.json build/npm/
  (cd build/npm && npm install --no-audit --no-fund --silent)
  (cd proto && ../build/npm/node_modules/.bin/buf lint)
  echo "buf lint: clean"
  # Against the interface that programs out there were made for: see proto/README.md.
  (cd proto && ../build/npm/node_modules/.bin/buf breaking --against released.binpb)
  echo "buf breaking: clean"
else
  echo "buf lint, buf breaking: skipped, npm is not installed"
fi
