#!/usr/bin/env bash
# Measures what a machine may expect of jobs: measure.sh SIMILE RUN CONDITIONS [WHAT…]
#   RUN         run directory with a trained model
#   CONDITIONS  file with conditions to generate events for
#   WHAT        exact shards training scaling overhead memory (default: all)
# Prints lines to be recorded; `exact`, `shards` and `training` fail where bits differ. Needs bc, GNU time and 2 cores.
set -euo pipefail
simile=$(realpath "$1")
run=$(realpath "$2")
conditions=$(realpath "$3")
shift 3
[ $# -gt 0 ] || set -- exact shards training scaling overhead memory
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
fail() { echo "FAILED: $*" >&2; exit 1; }
now() { date +%s.%N; }
# ratio A B, difference A B
ratio() { echo "scale=3; ($1) / ($2)" | bc; }
difference() { echo "scale=3; ($1 - $2) / 1" | bc; }
sample() { "$simile" sample "$run/model" --conditions "$conditions" --quiet "$@" > /dev/null; }
# Seconds, at random, up to a number of them.
moment() { awk -v most="$1" -v seed="$RANDOM" 'BEGIN { srand(seed); print rand() * most }'; }

exact() {
    sample -n 40000 --threads 2 -o whole.parquet
    local shard
    for shard in $(seq 8); do
        sample -n 40000 --threads 1 --shard "$shard/8" -o "part-$shard.parquet"
    done
    "$simile" merge part-{1..8}.parquet -o merged.parquet --quiet > /dev/null
    cmp whole.parquet merged.parquet || fail 'shards differ from one process'
    echo "8 shards of one thread, merged: the $(stat -c %s merged.parquet) bytes of one process with two threads"
}

shards() {
    local times=20 kill seconds early=0 begin
    begin=$(now)
    sample -n 20000 --threads 1 --shard 1/2 -o calm.parquet
    seconds=$(difference "$(now)" "$begin")
    for kill in $(seq "$times"); do
        rm -f killed.parquet killed_manifest.json
        "$simile" sample "$run/model" --conditions "$conditions" --quiet -n 20000 --threads 1 --shard 1/2 --resume \
            -o killed.parquet > /dev/null &
        sleep "$(moment "$seconds")"
        # It may have finished.
        kill -KILL $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        if [ -e killed.parquet ]; then
            cmp calm.parquet killed.parquet || fail "kill $kill left something else under the final name"
        else
            early=$((early + 1))
        fi
        sample -n 20000 --threads 1 --shard 1/2 --resume -o killed.parquet
        cmp calm.parquet killed.parquet || fail "after kill $kill other bytes"
        [ "$(find . -name '.*killed*' | wc -l)" = 0 ] || fail "after kill $kill: $(find . -name '.*killed*')"
    done
    echo "$times times SIGKILL within $seconds s: $early times before the end, nothing under the final name then," \
        'and the same bytes when started again'
}

training() {
    local kills=0 begin seconds
    (cd "$OLDPWD" && "$simile" prepare "$run/config.toml" --out "$scratch/calm" --quiet --set training.epochs=6) > /dev/null
    cp -r calm killed
    begin=$(now)
    "$simile" train calm --quiet --threads 1
    seconds=$(difference "$(now)" "$begin")
    while [ "$kills" -lt 5 ]; do
        "$simile" train killed --quiet --threads 1 &
        # Late enough for an epoch to be finished now and then, early enough for five kills.
        sleep "$(moment "$(ratio "$seconds" 3)")"
        kill -KILL $! 2>/dev/null || break
        wait $! 2>/dev/null || true
        kills=$((kills + 1))
    done
    "$simile" train killed --quiet --threads 1
    [ "$kills" = 5 ] || echo "training had finished after $kills kills"
    cmp calm/model/weights.safetensors killed/model/weights.safetensors || fail 'other weights'
    echo "training of $seconds s killed $kills times by SIGKILL: the weights of an uninterrupted one"
}

scaling() {
    local events=150000 repeat begin middle end
    for repeat in 1 2 3; do
        begin=$(now)
        sample -n $events --threads 1 --shard 1/2 -o a1.parquet --overwrite
        sample -n $events --threads 1 --shard 2/2 -o a2.parquet --overwrite
        middle=$(now)
        sample -n $events --threads 1 --shard 1/2 -o b1.parquet --overwrite &
        sample -n $events --threads 1 --shard 2/2 -o b2.parquet --overwrite
        wait
        end=$(now)
        echo "$events events in two shards of one thread: one after the other $(difference "$middle" "$begin") s," \
            "together $(difference "$end" "$middle") s, ratio $(ratio "$middle - $begin" "$end - $middle")"
    done
}

overhead() {
    local repeat begin end
    for repeat in 1 2 3 4 5; do
        begin=$(now)
        sample -n 1 --threads 1 -o one.parquet --overwrite
        end=$(now)
        echo "one event: $(difference "$end" "$begin") s from start to end, of which" \
            "$(grep -o '"setup_seconds": [0-9.]*' one_manifest.json | cut -d' ' -f2 | cut -c1-5) s to the first event"
    done
}

memory() {
    local events
    for events in 20000 200000 2000000; do
        /usr/bin/time -f "$events events: at most %M kB, %e s" \
            "$simile" sample "$run/model" --conditions "$conditions" --quiet -n $events --threads 2 \
            -o memory.parquet --overwrite 2>&1 > /dev/null
    done
}

for what in "$@"; do
    case $what in
        exact | shards | training | scaling | overhead | memory) "$what" ;;
        *) fail "no measurement is called $what" ;;
    esac
done
