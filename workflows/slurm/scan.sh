#!/usr/bin/env bash
# Expands a parameter scan, submits an array of its trials, and a job that ranks them when all have ended.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ -e "$SCAN_OUTPUT" ] || "$SIMILE" sweep expand "$SCAN" -o "$SCAN_OUTPUT" >&2
trials=$(find "$SCAN_OUTPUT/configs" -name '*.toml' | wc -l)
trial=$(submit trial "${TRIAL[@]}" --array="1-$trials")
# Trials that failed are left out of the ranking.
rank=$(submit rank "${MERGE[@]}" --dependency="afterany:$trial")
echo "trials $trial rank $rank"
