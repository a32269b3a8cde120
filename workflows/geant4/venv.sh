#!/usr/bin/env bash
# Makes the Python environment of this workflow (once) and prints the path of its interpreter:
#   "$(workflows/geant4/venv.sh)" workflows/geant4/check.py A.parquet B.parquet
# Place: $SIMILE_GEANT4_VENV, by default outside the checkout in the user's cache folder. Interpreter: $PYTHON, by default python3.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${SIMILE_GEANT4_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/simile/venv-geant4}

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "installing $(grep -vc '^#' "$here/requirements.txt") pinned packages into $venv" >&2
    "${PYTHON:-python3}" -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/requirements.txt"   # last: its presence says that the installation is complete
fi
echo "$venv/bin/python"
