#!/usr/bin/env bash
# Runs a fuzz target for so many seconds, and on where a library broke (library_faults.h).
#   run.sh PROGRAM SECONDS ARGUMENT …
set -uo pipefail
program=$1 seconds=$2 broke=0 code=0
shift 2
while [ "$SECONDS" -lt "$seconds" ]; do
  code=0
  "$program" -max_total_time=$((seconds - SECONDS)) "$@" || code=$?
  [ "$code" = 98 ] || break
  broke=$((broke + 1)) code=0
done
echo "Ended after $SECONDS s; files broke a library $broke times"
exit "$code"
