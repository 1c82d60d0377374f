#!/usr/bin/env bash
# From nothing to a feature dictionary: installs what is missing, builds saed, starts a server on a
# new data directory, trains on a recording, shows what the features stand for, encodes new windows,
# and stops the server again.
#   deploy/quickstart.sh               with a simulated recording whose features are known
#   deploy/quickstart.sh session.nwb   with a recording of yours: NWB, or a Kilosort/Phy folder
# Further arguments go to `saectl recordings import`, e.g. --sampling-rate 30000 for a Phy folder
# without params.py.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
recording_path=
if [ $# -gt 0 ]; then
  recording_path=$(realpath "$1")
  shift
  [ -e "$recording_path" ] || { echo "there is no $recording_path" >&2; exit 1; }
fi
cd "$here"
step() { printf '\n== %s\n' "$*"; }

step "Installing what is missing"
deploy/install.sh --no-test

step "Building"
cmake --preset release -DBUILD_TESTING=OFF >build-quickstart.log 2>&1 || { cat build-quickstart.log; exit 1; }
rm -f build-quickstart.log
cmake --build --preset release --target saed saectl saed_python
bin=$here/build/release/bin

step "Starting a server"
data=$(mktemp -d -t saed-quickstart-XXXXXX)
"$bin/saed" --data-dir "$data" --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 \
  >"$data/ports" 2>"$data/log" &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap stop EXIT
for _ in $(seq 100); do
  grep -q ready "$data/ports" && break
  kill -0 "$server" 2>/dev/null || { cat "$data/log"; exit 1; }
  sleep 0.1
done
export SAED_SERVER=127.0.0.1:$(sed -n 's/.* port=\([0-9]*\) .*/\1/p' "$data/ports")
metrics=127.0.0.1:$(sed -n 's/.*metrics_port=\([0-9]*\).*/\1/p' "$data/ports")
echo "server at $SAED_SERVER, data in $data"

if [ -z "$recording_path" ]; then
  step "Simulating a recording with 40 planted features"
  "$bin/saectl" recordings simulate planted --level easy
  settings=(--bin 0.02 --features 80 --k 3 --epochs 40 --loss poisson --lr 4e-3)
else
  step "Importing $recording_path"
  "$bin/saectl" recordings import "$recording_path" "$@"
  settings=(--bin 0.02 --window 5 --features 128 --k 12 --epochs 20)
fi
recording=$("$bin/saectl" recordings list | awk 'NR == 2 {print $1}')
if [ -n "$recording_path" ]; then
  # Inside the first interval table only, so that the held-out end has labels too.
  table=$("$bin/saectl" recordings show "$recording" | awk '$1 == "intervals" {print $2; exit}')
  [ -n "$table" ] && settings+=(--mask "$table")
fi

step "Training: saectl train $recording ${settings[*]}"
"$bin/saectl" train "$recording" "${settings[@]}"
model=$("$bin/saectl" models list | awk 'NR == 2 {print $1}')
dictionary=${model/models/dictionaries}

step "Quality on held-out time: saectl models show $model"
"$bin/saectl" models show "$model"

step "What the features stand for: saectl features list $dictionary"
"$bin/saectl" features list "$dictionary" --limit 40

step "Encoding five windows of new counts, from Python"
PYTHONPATH=$here/build/release/python /usr/bin/python3 - "$SAED_SERVER" "$model" <<'PY'
import sys
import numpy as np
import saed

lab = saed.connect(sys.argv[1])
model = lab.model(sys.argv[2])
counts = np.random.default_rng(0).poisson(0.3, (5, model.window, model.units)).astype(np.uint8)
codes = lab.encode(sys.argv[2], counts)
for w, (begin, end) in enumerate(zip(codes.row_offsets, codes.row_offsets[1:])):
    print(f"window {w}: " + ", ".join(f"feature {j} = {v:.2f}" for j, v in
                                      zip(codes.indices[begin:end], codes.values[begin:end])))
PY

step "Metrics for Prometheus: http://$metrics/metrics"
curl -sf "http://$metrics/metrics" | grep -E '^saed_(jobs_finished|training_steps|encoded)' || true

step "Done; stopping the server. To go on with this data:"
echo "  $bin/saed --data-dir $data &"
echo "  $bin/saectl --help"
