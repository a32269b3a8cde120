"""Runs this library and its peers in turn, several rounds, and prints and writes the ratios of the medians.

Usage: run.py OURS [ROUNDS], with OURS the built benchmark; run.sh builds it and installs the peers.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
THREADS = int(os.environ.get("THREADS", os.cpu_count()))
PEERS = ("nflows", "flowjax", "jax", "torch")
# What the project asks of itself: (case, peer) -> least ratio; more is better for ours in all of them.
TARGETS = {
    ("flow train 256", "flowjax"): 1.5,
    ("flow train 1024", "nflows"): 3.0,
    ("flow train 1024", "flowjax"): 2.0,
    ("flow train 4096", "nflows"): 3.0,
    ("flow train 4096", "flowjax"): 2.0,
    ("flow sample", "nflows"): 2.5,
    ("flow sample", "flowjax"): 2.0,
    ("flow train 4096", "gemm floor"): 0.5,
    ("flow sample", "gemm floor"): 0.5,
    ("mlp train 1024", "jax"): 1.0,
    ("convolution forward", "torch"): 1.0,
    ("convolution train", "torch"): 1.0,
    ("transposed convolution forward", "torch"): 1.0,
    ("transposed convolution train", "torch"): 1.0,
}
LATENCY_TARGET_US = 200.0


def environment():
    threads = str(THREADS)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "PJRT_NPROC")
    return {**os.environ, **dict.fromkeys(names, threads), "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def run(command):
    done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def best_chunk(values):
    """Sampling at a program's own best chunk, as one case."""
    values = dict(values)
    chunks = [name for name in values if name.startswith("flow sample ") and name.endswith("samples/s")]
    if chunks:
        values["flow sample samples/s"] = max(values.pop(name) for name in chunks)
    return values


def main():
    ours_program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    measured = {}
    for number in range(rounds):
        for name in ("ours", *PEERS):
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            peer = [sys.executable, str(HERE / "peers.py"), name, str(THREADS)]
            for case, value in best_chunk(run([ours_program] if name == "ours" else peer)).items():
                measured.setdefault((name, case), []).append(value)
    median = {key: statistics.median(values) for key, values in measured.items()}

    results = []
    for (name, case), value in sorted(median.items()):
        if name == "ours":
            continue
        results.append(result(case, median["ours", case], value, name))
    for batch in (256, 1024, 4096):
        case = f"flow train {batch} samples/s"
        results.append(result(case, median["ours", case], median["ours", "floor train samples/s"], "gemm floor"))
    floor = median["ours", "floor sample samples/s"]
    results.append(result("flow sample samples/s", median["ours", "flow sample samples/s"], floor, "gemm floor"))
    latency = median["ours", "flow sample 1 µs"]
    results.append(
        {"case": "flow sample 1 µs", "ours": latency, "peer": LATENCY_TARGET_US, "peer_name": "limit",
         "ratio": LATENCY_TARGET_US / latency}
    )

    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"{'case':38} {'ours':>11} {'peer':>11}  {'peer':10} {'ratio':>6} {'target':>6}")
    for row in results:
        key = (row["case"].rsplit(" ", 1)[0], row["peer_name"])
        target = 1.0 if row["peer_name"] == "limit" else TARGETS.get(key)
        verdict = "" if target is None else f"{target:6.2f} {'met' if row['ratio'] >= target else 'MISSED'}"
        print(
            f"{row['case']:38} {row['ours']:11.4g} {row['peer']:11.4g}  {row['peer_name']:10} "
            f"{row['ratio']:6.2f} {verdict}"
        )
    rate = median["ours", "gemm GFLOP/s"]
    print(f"\n{THREADS} threads, medians of {rounds} rounds; products of large matrices: {rate:.0f} GFLOP/s")


def result(case, ours, peer, name):
    """`ratio` is how many times better ours is: rates are to be high, times low."""
    ratio = ours / peer if case.endswith("/s") else peer / ours
    return {"case": case, "ours": ours, "peer": peer, "peer_name": name, "ratio": ratio}


if __name__ == "__main__":
    main()
