#!/usr/bin/env bash
# Runs a fuzz target for so many seconds, and on where a library broke (library_faults.h).
#   run.sh PROGRAM SECONDS ARGUMENT …
set -uo pipefail
program=$1 seconds=$2 broke=0 code=0
shift 2
# Addresses decide the order of hash tables and of coverage: the same ones each time, where that can
# be had.
fixed=()
setarch -R true 2>/dev/null && fixed=(setarch -R)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
while [ "$SECONDS" -lt "$seconds" ]; do
  code=0
  "${fixed[@]}" "$program" -max_total_time=$((seconds - SECONDS)) "$@" 2>&1 | tee -a "$log"
  code=${PIPESTATUS[0]}
  [ "$code" = 98 ] || break
  broke=$((broke + 1)) code=0
done
echo "Ended after $SECONDS s; files broke a library $broke times"
# An input of the corpus that breaks a library would end each start before anything was tried.
if [ "$code" = 0 ] && [ "$seconds" -gt 0 ] && ! grep -q 'INITED' "$log"; then
  echo "never came to try an input of its own" >&2
  exit 1
fi
exit "$code"
