#!/usr/bin/env bash
# Checks that several processes train as one does: test.sh SIMILE_WITH_MPI SIMILE_WITHOUT
# Needs mpirun (Debian: openmpi-bin) and python3. Takes about a minute.
set -euo pipefail
with=$(realpath "$1")
without=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# Open MPI has options to say so, too, but other libraries do not know them.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMP_NUM_THREADS=1

# Differences of rounding grow from step to step, and the faster the larger the steps are.
"$without" prepare configs/quickstart.toml --out "$scratch/prepared" --quiet --set training.epochs=3 \
    --set training.learning_rate=1e-4 --set model.couplings=2 --set model.width=32 > "$scratch/path"
copy() { cp -r "$scratch/prepared" "$scratch/$1"; }
# near A B: losses of all epochs equal to 1e-5 of themselves, weights to 1e-4.
near() { python3 "$here/near.py" "$scratch/$1" "$scratch/$2"; }

copy alone
"$without" train "$scratch/alone" --quiet

echo '- one process: the bits of a build without MPI'
copy single
"$with" train "$scratch/single" --quiet
cmp "$scratch/alone/model/weights.safetensors" "$scratch/single/model/weights.safetensors"

for processes in 2 3; do
    echo "- $processes processes: the losses of one"
    copy "of-$processes"
    mpirun -n $processes "$with" train "$scratch/of-$processes" --quiet
    near "of-$processes" alone
done

echo '- stopped by SIGUSR1 to mpirun, and gone on with'
copy stopped
mpirun -n 2 "$with" train "$scratch/stopped" 2> "$scratch/stopped.log" &
mpirun=$!
for attempt in $(seq 300); do
    [ -s "$scratch/stopped/log.jsonl" ] && break
    sleep 0.1
done
kill -USR1 "$mpirun"
wait "$mpirun" && status=0 || status=$?
[ "$status" = 75 ] || { cat "$scratch/stopped.log"; fail "exit code $status"; }
[ "$(grep -c 'interrupted in epoch' "$scratch/stopped.log")" = 1 ] || fail 'not said once that it was interrupted'
mpirun -n 2 "$with" train "$scratch/stopped" --quiet
near stopped alone

echo '- processes that do not find each other'
copy lost
mpirun -n 2 "$without" train "$scratch/lost" > "$scratch/lost.log" 2>&1 && status=0 || status=$?
[ "$status" = 2 ] || fail "exit code $status"
grep -q 'one of 2 processes' "$scratch/lost.log" || fail 'no reason given'
[ ! -e "$scratch/lost/model" ] || fail 'a model was written'

echo '- an error of one ends all'
copy broken
rm "$scratch/broken/prepared/train.parquet"
timeout 30 mpirun -n 2 "$with" train "$scratch/broken" > "$scratch/broken.log" 2>&1 && status=0 || status=$?
[ "$status" = 2 ] || { cat "$scratch/broken.log"; fail "exit code $status"; }
echo 'all passed'
