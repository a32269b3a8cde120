#!/usr/bin/env python3
"""Golden p-values by permutation of events, from scipy.

    pip install numpy==2.* scipy==1.*
    python permutation.py > permutation.json
"""
import json
import sys

import numpy as np
import scipy
from scipy import stats

RESAMPLES = 49_999
rng = np.random.default_rng(20261125)


def anderson_darling(a, b):
    """Integral of (F - G)^2 / (H (1 - H)) over the distribution function H of all entries."""
    pooled = np.sort(np.concatenate([a, b]))
    x, last = np.unique(pooled[::-1], return_index=True)
    h = (len(pooled) - last) / len(pooled)
    f, g = (np.searchsorted(np.sort(v), x, side="right") / len(v) for v in (a, b))
    steps = np.diff(h, prepend=0)[:-1]
    return ((f - g)[:-1] ** 2 * steps / (h * (1 - h))[:-1]).sum()


TESTS = {
    "ks": lambda a, b: stats.ks_2samp(a, b, method="asymp").statistic,
    "anderson_darling": anderson_darling,
    "energy_distance": stats.energy_distance,
}


def case(name, a, b):
    """p-values of samples of events, each a list of entries."""
    a, b = ([np.asarray(event, dtype=np.float32).astype(float) for event in sample] for sample in (a, b))
    events = a + b

    def p_value(test):
        def statistic(i, j):
            return test(np.concatenate([events[e] for e in i]), np.concatenate([events[e] for e in j]))
        numbers = np.arange(len(events))
        return float(stats.permutation_test(
            (numbers[:len(a)], numbers[len(a):]), statistic, vectorized=False, n_resamples=RESAMPLES,
            alternative="greater", rng=np.random.default_rng(1)).pvalue)

    return {"name": name, "resamples": RESAMPLES, "a": [e.tolist() for e in a], "b": [e.tolist() for e in b]} | {
        key: p_value(test) for key, test in TESTS.items()}


def correlated(events, shift, spread):
    return [rng.normal(rng.normal(shift, spread), 0.5, size=rng.integers(1, 7)) for _ in range(events)]


golden = {
    "made_with": f"scipy {scipy.__version__}, numpy {np.__version__}, python {sys.version.split()[0]}",
    "cases": [
        case("one entry per event", rng.normal(size=(30, 1)), rng.normal(0.5, 1, size=(25, 1))),
        case("ties", rng.poisson(3, size=(20, 1)), rng.poisson(4, size=(40, 1))),
        case("correlated entries", correlated(25, 0.0, 1.0), correlated(18, 0.4, 1.0)),
    ],
}
print(json.dumps(golden).replace('{"name"', '\n {"name"'))
