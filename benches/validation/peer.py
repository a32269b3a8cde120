"""The Python side of the comparison: peer.py REFERENCE CANDIDATE THREADS EPOCHS OUT, EPOCHS those of the classifiers.

Writes seconds of every part and the figures found. The clock starts when modules are loaded, functions compiled and worker processes
ready.
"""

import json
import sys
import time
import warnings

import numpy as np
import pyarrow.parquet as pq
from joblib import Parallel, delayed

import classifier
import events
import features


def read(path):
    return np.column_stack([column.to_numpy() for column in pq.read_table(path).columns])


def warm_up(parallel, threads):
    """Loads modules in the workers and compiles what numba compiles."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    groups, first = features.divisions(rng, len(x))
    parallel(delayed(features.compare)(x[:, 0], x[:, 1], groups, groups, first) for _ in range(4 * threads))
    events.jetnet(rng, x, x + 0.1, threads)


def main():
    warnings.simplefilter("ignore")
    reference, candidate, threads, epochs, out = sys.argv[1:]
    threads, epochs = int(threads), int(epochs)
    seconds, metrics = {}, {}
    with Parallel(n_jobs=threads) as parallel:
        warm_up(parallel, threads)
        rng = np.random.default_rng(1)
        begin = time.perf_counter()

        def lap(part):
            seconds[part] = time.perf_counter() - begin - sum(seconds.values())

        a, b = (read(path).astype(np.float64) for path in (reference, candidate))
        groups, first = features.divisions(rng, len(a))
        # Samples of equal size are divided alike.
        groups = groups, groups if len(a) == len(b) else features.divisions(rng, len(b))[0]
        lap("read")
        metrics["features"] = parallel(delayed(features.compare)(x, y, *groups, first) for x, y in zip(a.T, b.T))
        lap("features")
        metrics["correlation_distance"] = features.correlations(a, b, groups[0], first)
        lap("correlations")
        metrics |= events.jetnet(rng, a, b, threads)
        lap("jetnet")
        mean, width = a.mean(axis=0), a.std(axis=0)
        standardised = (a - mean) / width, (b - mean) / width
        metrics |= events.neighbourhoods(rng, *standardised)
        lap("neighbours")
        metrics["sliced_wasserstein"] = events.sliced_wasserstein(rng, *standardised, groups, first, parallel)
        lap("sliced")
        metrics["c2st"] = classifier.c2st(rng, a, b, epochs)
        lap("classifier")
    with open(out, "w") as file:
        json.dump({"seconds": seconds, "metrics": metrics}, file, default=float)


if __name__ == "__main__":
    main()
