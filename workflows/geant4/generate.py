#!/usr/bin/env python3
"""Geant4 showers of single photons, electrons or positrons in a layered calorimeter, as one Parquet file.

    workflows/geant4/generate.sh --particle gamma --calorimeter pblar_compact --events 1000 --energy 0.5 50 \\
        --jobs 2 --seed 1 -o photons.parquet

Showers are simulated in shards, one process each, and merged in order. Shower i of a seed is the same whatever the
number of jobs or events: a longer run begins with the shorter, and --first-event continues it.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import calorimeter as calorimeters

# Five seconds or so for photons of 10 GeV: long against the start of a process (0.5 s), short against a run.
SHARD_EVENTS = 50
# Rows per row group: readers hold one decoded group in memory.
ROW_GROUP_ROWS = 2048
MEV_PER_GEV = 1000.0


def main() -> None:
    options = parse_arguments()
    try:
        description = calorimeters.load(options.calorimeter)
    except calorimeters.CalorimeterError as error:
        raise SystemExit(f"error: {error}") from None
    shards = plan(options, description)
    # Parts and the merged file are made beside the output, so that the final rename stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{options.output.name}.", dir=options.output.parent) as folder:
        merged = Path(folder) / "merged.parquet"
        merge(simulate_all(shards, options.jobs, Path(folder)), merged)
        os.replace(merged, options.output)
    print(f"{options.output}: {options.events} showers", file=sys.stderr)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--particle", choices=["gamma", "e-", "e+"], default="gamma")
    add("--calorimeter", default="pblar_compact", help="name of a file in calorimeters/, or path of a JSON file")
    add("--events", type=whole(1), required=True, help="number of showers")
    add("--first-event", type=whole(0), default=0, help="number of the first shower")
    add("--energy", type=positive, nargs="+", required=True, metavar="GEV",
        help="kinetic energy in GeV: one value, or two for log-uniform between them")
    add("--seed", type=whole(0), default=1)
    add("--jobs", type=whole(1), default=os.cpu_count() or 1, help="processes at a time")
    add("--range-cut-mm", type=positive, default=0.7, help="production range cut for e-, e+ and gamma")
    add("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    if len(options.energy) > 2 or sorted(options.energy) != options.energy:
        parser.error(f"--energy takes one value, or the lower and the upper limit; found {options.energy}")
    if options.output.exists():
        parser.error(f"{options.output} exists: remove it, or give another name")
    if not options.output.absolute().parent.is_dir():
        parser.error(f"the folder of {options.output} does not exist: make it first")
    return options


def whole(minimum: int):
    def parse(text: str) -> int:
        if (value := int(text)) < minimum:
            raise argparse.ArgumentTypeError(f"{text} is below {minimum}")
        return value
    parse.__name__ = "whole number"
    return parse


def positive(text: str) -> float:
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def plan(options: argparse.Namespace, description: dict) -> list[dict]:
    """One job (see simulate.Job) per shard."""
    low, high = (energy * MEV_PER_GEV for energy in (options.energy[0], options.energy[-1]))
    end = options.first_event + options.events
    return [{"calorimeter": description, "particle": options.particle, "energy_mev": [low, high],
             "range_cut_mm": options.range_cut_mm, "seed": options.seed, "first_event": first,
             "n_events": min(SHARD_EVENTS, end - first)} for first in range(options.first_event, end, SHARD_EVENTS)]


def simulate_all(shards: list[dict], jobs: int, folder: Path):
    """Yields the table of each shard, in order, while later ones are still running."""
    total, done, begin = sum(shard["n_events"] for shard in shards), 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(simulate_shard, shard, folder) for shard in shards]
        try:
            for shard, future in zip(shards, futures):
                yield future.result()
                done += shard["n_events"]
                seconds = time.monotonic() - begin
                left = seconds * (total - done) / done
                print(f"{done}/{total} showers, {seconds:.0f} s, about {left:.0f} s left", file=sys.stderr, flush=True)
        finally:
            pool.shutdown(cancel_futures=True)


def simulate_shard(shard: dict, folder: Path) -> pa.Table:
    """Runs simulate.py in a process of its own: a crash inside Geant4 then ends in a message."""
    job, part = (folder / f"{shard['first_event']}.{kind}" for kind in ("json", "parquet"))
    job.write_text(json.dumps(shard), encoding="utf-8")
    script = Path(__file__).with_name("simulate.py")
    run = subprocess.run([sys.executable, script, job, part], capture_output=True, text=True)
    if run.returncode != 0:
        last = shard["first_event"] + shard["n_events"] - 1
        raise SystemExit(f"error: showers {shard['first_event']}-{last} failed with status {run.returncode}:\n"
                         f"{run.stdout[-2000:]}{run.stderr[-2000:]}")
    showers = pq.read_table(part)
    part.unlink()
    return showers


def merge(tables, path: Path) -> None:
    """Writes the tables one after another into row groups of ROW_GROUP_ROWS."""
    writer, pending = None, None
    for table in tables:
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=15, use_dictionary=False)
        pending = table if pending is None else pa.concat_tables([pending, table])
        while pending.num_rows >= ROW_GROUP_ROWS:
            writer.write_table(pending.slice(0, ROW_GROUP_ROWS))
            pending = pending.slice(ROW_GROUP_ROWS)
    if pending.num_rows > 0:
        writer.write_table(pending)
    writer.close()


if __name__ == "__main__":
    main()
