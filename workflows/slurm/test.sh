#!/usr/bin/env bash
# Runs the workflow on a Slurm cluster of one node and checks what it promises: test.sh SIMILE [SIMILE_WITH_MPI]
# Needs root and the Debian packages slurm-wlm and munge. Takes about three minutes.
set -euo pipefail
simile=$(realpath "$1")
with_mpi=${2:+$(realpath "$2")}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
scratch=$(mktemp -d)
export SLURM_CONF=$scratch/slurm/slurm.conf
"$here/cluster.sh" start "$scratch/slurm"
finish() {
    status=$?
    [ "$status" -eq 0 ] || tail -n 20 "$scratch"/logs/*.log "$scratch"/slurm/log/slurmctld.log
    scancel --user=root --quiet || true
    "$here/cluster.sh" stop "$scratch/slurm"
    rm -rf "$scratch"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# A training several times as long as the signals take that interrupt it, and short enough for rounding to stay small with MPI.
overrides=(--set training.epochs=6 --set training.learning_rate=1e-4 --set model.couplings=2 --set model.width=32)

cat > "$scratch/settings.sh" <<CONF
source "$here/settings.sh"
SIMILE=$simile
OVERRIDES=(${overrides[*]})
RUN=$scratch/run
EVENTS=20000
SHARDS=4
OUTPUT=$scratch/sample
NODE_TMPDIR='$scratch/node/\$SLURM_JOB_ID'
VALIDATE+=(--no-classifier)
SCAN=$scratch/scan.toml
SCAN_OUTPUT=$scratch/scan
LOG_DIR=$scratch/logs
TRAIN=(--cpus-per-task=1 --time=10)
SAMPLE=(--cpus-per-task=1 --time=10)
MERGE=(--cpus-per-task=1 --time=10)
VALIDATION=(--cpus-per-task=1 --time=10)
TRIAL=(--cpus-per-task=1 --time=10)
CONF
export SIMILE_SETTINGS=$scratch/settings.sh

# The state of a job, by its number.
state() { scontrol show job "$1" | grep -o 'JobState=[A-Z_]*' | head -1 | cut -d= -f2; }

# Waits until the last job of a chain has ended; starts requeued jobs at once, which Slurm would hold back for two minutes.
ended() {
    local job=$1 second
    for second in $(seq 600); do
        case $(state "$job") in
            COMPLETED) return ;;
            FAILED | CANCELLED | TIMEOUT | NODE_FAIL | OUT_OF_MEMORY) fail "job $job is $(state "$job")" ;;
        esac
        local held
        for held in $(squeue -h -t PENDING -o '%i %r' | awk '$2 == "BeginTime" { print $1 }'); do
            scontrol update JobId="$held" StartTime=now
        done
        sleep 1
    done
    fail "job $job did not end"
}
# Makes a training job go back into the queue for the n-th time, and start again at once.
requeue() {
    local job=$1 restart=$2 attempt
    for attempt in $(seq 300); do
        # Within an epoch: after the first lines of this start.
        [ "$(grep -c 'flow with' "$scratch/logs/simile-train-$job.log" 2>/dev/null)" = "$restart" ] && break
        sleep 0.1
    done
    sleep 0.5
    scancel --signal=USR1 --batch "$job"
    for attempt in $(seq 300); do
        grep -q "Restarts=$restart" <(scontrol show job "$job") && break
        [ "$(state "$job")" != COMPLETED ] || fail "training ended before it could be preempted"
        sleep 0.1
    done
    sleep 1
    scontrol update JobId="$job" StartTime=now
}
last() { awk '{ print $NF }' <<< "$1"; }

# What one process without Slurm gives.
mkdir "$scratch/logs"
calm=$scratch/calm
"$simile" prepare configs/quickstart.toml --out "$calm" "${overrides[@]}" --quiet
"$simile" train "$calm" --quiet --threads 1
"$simile" sample "$calm/model" --conditions data/samples/photons_compact_test.parquet -n 20000 --quiet --threads 1 \
    -o "$scratch/calm.parquet"

echo '- training that is requeued at USR1 twice, then samples, merge and validation'
chain=$("$here/submit.sh")
train=$(awk '{ print $2 }' <<< "$chain")
requeue "$train" 1
requeue "$train" 2
ended "$(last "$chain")"
[ "$(grep -c 'interrupted in epoch' "$scratch/logs/simile-train-$train.log")" = 2 ] || fail 'not interrupted twice'
cmp "$calm/model/weights.safetensors" "$scratch/run/model/weights.safetensors" || fail 'the weights differ'
cmp "$scratch/calm.parquet" "$scratch/sample/sample.parquet" || fail 'the merged sample differs'
[ -s "$scratch/sample/validation/metrics.json" ] || fail 'no metrics'
[ -z "$(find "$scratch/node" -type f)" ] || fail 'something is left in the folder of the node'

echo '- a shard that is lost is the only one that is made again'
rm "$scratch/sample/parts/3-of-4.parquet"
before=$(stat -c %Y "$scratch"/sample/parts/{1,2,4}-of-4.parquet)
ended "$(last "$("$here/submit.sh" sample)")"
[ "$before" = "$(stat -c %Y "$scratch"/sample/parts/{1,2,4}-of-4.parquet)" ] || fail 'another shard was made again'
cmp "$scratch/calm.parquet" "$scratch/sample/sample.parquet" || fail 'the merged sample differs'

echo '- a parameter scan'
cat > "$scratch/scan.toml" <<CONF
base = "configs/quickstart.toml"
[parameters]
"model.couplings" = { values = [1, 2] }
"model.width" = { values = [16] }
"training.epochs" = { values = [1] }
"validation.c2st" = { values = [{ seeds = 1 }] }
CONF
ended "$(last "$("$here/scan.sh")")"
cat "$scratch"/logs/simile-rank-*.log
[ "$(grep -c '"name"' "$scratch/scan/ranking.json")" = 2 ] || fail 'not all trials are ranked'
if [ -n "$with_mpi" ]; then
    echo '- training in two tasks by MPI, requeued once'
    cat >> "$scratch/settings.sh" <<CONF
SIMILE=$with_mpi
RUN=$scratch/together
OUTPUT=$scratch/sample-together
TRAIN=(--ntasks=2 --cpus-per-task=1 --time=10)
LAUNCH=(srun --mpi=pmix --kill-on-bad-exit)
CONF
    chain=$("$here/submit.sh")
    train=$(awk '{ print $2 }' <<< "$chain")
    requeue "$train" 1
    ended "$(last "$chain")"
    [ "$(grep -c 'interrupted in epoch' "$scratch/logs/simile-train-$train.log")" = 1 ] || fail 'not interrupted once'
    python3 "$here/../mpi/near.py" "$scratch/together" "$calm"
fi
echo 'all passed'
