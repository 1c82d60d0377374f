#!/usr/bin/env bash
# Installs the packages of packages.txt that are missing. Needs root or sudo only where some are.
#   deploy/install.sh [--no-test]     --no-test leaves out what only the tests need
set -euo pipefail
cd "$(dirname "$0")"
list=$(cat packages.txt)
[ "${1:-}" = --no-test ] && list=$(sed '/^# test/,$d' packages.txt)
missing=()
for package in $(grep -v '^#' <<<"$list"); do
  dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "run as root, or install sudo: packages are missing" >&2; exit 1; }
  root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -q
# Debian would start its prometheus service at once; the tests start their own on loopback.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -q --no-install-recommends "${missing[@]}"
