#!/usr/bin/env bash
# Submits train -> sample (an array of shards) -> merge -> validate, each after the one before has succeeded.
# submit.sh sample begins with the samples of a model that is trained already. Submitted again, finished shards are kept.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

after=()
if [ "${1:-train}" = train ]; then
    train=$(submit train "${TRAIN[@]}")
    after=(--dependency="afterok:$train")
fi
sample=$(submit sample "${SAMPLE[@]}" --array="1-$SHARDS" "${after[@]}")
merge=$(submit merge "${MERGE[@]}" --dependency="afterok:$sample")
validate=$(submit validate "${VALIDATION[@]}" --dependency="afterok:$merge")
echo "train ${train:-done} sample $sample merge $merge validate $validate"
