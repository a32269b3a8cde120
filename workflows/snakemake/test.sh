#!/usr/bin/env bash
# Runs the workflow with Snakemake and checks what it promises: test.sh SIMILE [local|slurm]
# snakemake is found by PATH; slurm needs root and the Debian packages slurm-wlm and munge, too. Takes about a minute each.
set -euo pipefail
simile=$(realpath "$1")
where=${2:-local}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(realpath "$here/../..")
scratch=$(mktemp -d)
# Paths of the configuration start here, and Snakemake keeps its records here.
cd "$scratch"
ln -s "$root/configs" "$root/data" "$root/validation" .
finish() {
    status=$?
    [ "$status" -eq 0 ] || tail -n 40 ./*.log
    [ "$where" = local ] || "$here/../slurm/cluster.sh" stop "$scratch/slurm"
    rm -rf "$scratch"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

where_options=(--cores 2)
if [ "$where" = slurm ]; then
    export SLURM_CONF=$scratch/slurm/slurm.conf
    "$here/../slurm/cluster.sh" start "$scratch/slurm"
    # The cluster has no accounting, which is where states are looked up otherwise.
    where_options=(--profile "$here/profiles/slurm" --latency-wait 10 --slurm-status-command squeue
        --slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 2)
fi

cat > config.yaml <<CONF
program: $simile
overrides: [training.epochs=1, model.couplings=2, model.width=32]
run: run
events: 6000
shards: 3
output: sample
validate: --incident incident_energy --voxels voxels --no-classifier
threads: {train: 1, sample: 1, validate: 1}
resources:
  prepare: {mem_mb: 500, runtime: 10}
  train: {mem_mb: 500, runtime: 10}
  sample: {mem_mb: 500, runtime: 10}
  merge: {mem_mb: 500, runtime: 10}
  validate: {mem_mb: 500, runtime: 10}
CONF
run() {
    snakemake --snakefile "$here/Snakefile" --configfile config.yaml "${where_options[@]}" > "$1.log" 2>&1
}
# Jobs that Snakemake ran, by rule.
jobs() { grep -oE '^(local)?rule [a-z]+' "$1.log" | awk '{ print $2 }' | grep -v all | sort | uniq -c | xargs; }

echo "- everything, $where"
run first
[ "$(jobs first)" = '1 merge 1 prepare 3 sample 1 train 1 validate' ] || fail "jobs: $(jobs first)"
"$simile" sample run/model --conditions data/samples/photons_compact_test.parquet -n 6000 --quiet \
    -o whole.parquet
cmp whole.parquet sample/sample.parquet || fail 'the merged sample differs'
[ -s sample/validation/metrics.json ] || fail 'no metrics'

echo '- again: nothing is left to do'
run again
[ -z "$(jobs again)" ] || fail "jobs: $(jobs again)"

echo '- without one shard'
rm "sample/parts/2-of-3.parquet"
run shard
[ "$(jobs shard)" = '1 merge 1 sample 1 validate' ] || fail "jobs: $(jobs shard)"
cmp whole.parquet sample/sample.parquet || fail 'the merged sample differs'
echo 'all passed'
