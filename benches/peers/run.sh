#!/usr/bin/env bash
# Compares this library with its peers on the same work and writes results.json beside this script. Installs the peers
# (requirements.txt) into a virtual environment on first use; wants Python ≥ 3.11.
#   benches/peers/run.sh [ROUNDS]    ROUNDS: 5 unless told
#   PEERS_VENV   the virtual environment (default: target/peers)
#   THREADS      threads of every program (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${PEERS_VENV:-target/peers}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement benches/peers/requirements.txt
fi
ours=$(cargo bench --locked --bench peers --no-run --message-format=json |
    "$venv/bin/python" -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("target", {}).get("name") == "peers" and message.get("executable"):
        print(message["executable"])')
"$venv/bin/python" benches/peers/run.py "$ours" "${1:-5}"
