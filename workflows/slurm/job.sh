#!/usr/bin/env bash
# One step of the workflow as a batch job; submit.sh and scan.sh submit it. The step is the argument.
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time limit: simile writes a checkpoint, and the job goes back into the queue.
#SBATCH --signal=B:USR1@120
set -euo pipefail
source "$SIMILE_SETTINGS"
if [ -n "$NODE_TMPDIR" ]; then
    TMPDIR=$(eval "echo \"$NODE_TMPDIR\"")
    mkdir -p "$TMPDIR"
    export TMPDIR
fi

# Exit code of simile when it was stopped by a signal and will go on.
AGAIN=75

# What starts simile: nothing, or for training what SETTINGS say.
launch=()

# Runs simile with signals passed on to it. Stopped before its time limit it is put back into the queue; where Slurm
# preempts it (SIGTERM), Slurm does that, and where a user cancels it, nobody does.
run() {
    local signal='' seen status
    "${launch[@]}" "$SIMILE" "$@" &
    local pid=$!
    trap 'signal=USR1; kill -USR1 "$pid" 2>/dev/null || true' USR1
    trap 'signal=TERM; kill -TERM "$pid" 2>/dev/null || true' TERM
    while true; do
        seen=$signal
        wait "$pid" && status=0 || status=$?
        # A signal ends `wait` before the program has ended.
        [ "$signal" = "$seen" ] && break
    done
    trap - USR1 TERM
    if [ "$status" -eq "$AGAIN" ] && [ "$signal" = USR1 ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
    return "$status"
}

trial() {
    local name
    name=$(printf '%03d' "$SLURM_ARRAY_TASK_ID")
    # A failed gate (exit code 1) is a result, too.
    run run "$SCAN_OUTPUT/configs/$name.toml" --out "$SCAN_OUTPUT/runs/$name" --resume || [ $? -eq 1 ]
}

case $1 in
    train)
        [ -e "$RUN" ] || run prepare "$CONFIG" --out "$RUN" "${OVERRIDES[@]}"
        launch=("${LAUNCH[@]}")
        run train "$RUN"
        ;;
    sample)
        mkdir -p "$OUTPUT/parts"
        run sample "$RUN/model" --conditions "$CONDITIONS" -n "$EVENTS" --seed "$SEED" --resume \
            --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" -o "$OUTPUT/parts/$SLURM_ARRAY_TASK_ID-of-$SHARDS.parquet"
        ;;
    merge) run merge "$OUTPUT/parts/*-of-$SHARDS.parquet" -o "$OUTPUT/sample.parquet" --overwrite ;;
    validate)
        rm -rf "$OUTPUT/validation"
        run validate --reference "$REFERENCE" --candidate "$OUTPUT/sample.parquet" "${VALIDATE[@]}" \
            -o "$OUTPUT/validation"
        ;;
    trial) trial ;;
    rank) run sweep rank "$SCAN_OUTPUT" ;;
    *) echo "job.sh: no step $1" >&2; exit 2 ;;
esac
