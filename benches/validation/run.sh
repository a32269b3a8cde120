#!/usr/bin/env bash
# Compares `simile validate` with the same figures in Python (scipy, JetNet, scikit-learn) and writes results.json beside this
# script. Installs the packages of requirements.txt into a virtual environment on first use; wants Python ≥ 3.11.
#   benches/validation/run.sh [FOLDER]    FOLDER for the samples, 1.2 GB (default: target/validation)
#   PEERS_VENV   the virtual environment (default: target/validation/python)
#   THREADS      threads of both programs (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=${1:-target/validation}
venv=${PEERS_VENV:-target/validation/python}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement benches/validation/requirements.txt
fi
cargo build --release --locked --bin simile
simile=$(cargo metadata --no-deps --format-version 1 |
    "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/simile
"$venv/bin/python" benches/validation/make.py "$folder"
"$venv/bin/python" benches/validation/run.py "$simile" "$folder"
