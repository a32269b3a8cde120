#!/usr/bin/env bash
# Geant4 showers in one command: installs the pinned packages where needed, then runs generate.py with the same arguments.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/venv.sh")
exec "$python" "$here/generate.py" "$@"
