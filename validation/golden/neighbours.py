#!/usr/bin/env python3
"""Golden values for figures of neighbours (prdc), the Gaussian-kernel discrepancy (scikit-learn) and sliced distances (POT).

    pip install prdc==0.2 POT scipy
    python neighbours.py > neighbours.json
"""
import contextlib
import json
import sys
from importlib.metadata import version

import numpy as np
import ot
from prdc import compute_prdc
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

NEIGHBOURS = 5
rng = np.random.default_rng(20261126)


def discrepancy(a, b, gamma):
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3)."""
    def own(x):
        return (rbf_kernel(x, x, gamma).sum() - len(x)) / (len(x) * (len(x) - 1))
    return own(a) + own(b) - 2 * rbf_kernel(a, b, gamma).mean()


def case(name, a, b):
    with contextlib.redirect_stdout(sys.stderr):
        figures = compute_prdc(a, b, NEIGHBOURS)
    width = np.median(pdist(a))
    return {"name": name, "a": a.tolist(), "b": b.tolist(), **{key: float(value) for key, value in figures.items()},
            "median_distance": float(width), "squared_discrepancy": float(discrepancy(a, b, 1 / (2 * width**2)))}


def sliced(a, b, number):
    a, b = (x.astype(np.float32).astype(float) for x in (a, b))
    directions = rng.normal(size=(number, a.shape[1]))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32).astype(float)
    distance = ot.sliced_wasserstein_distance(a, b, projections=directions.T, p=1)
    return {"a": a.tolist(), "b": b.tolist(), "directions": directions.tolist(), "distance": float(distance)}


normal = rng.normal
golden = {
    "made_with": ", ".join(f"{name} {version(name)}" for name in ("prdc", "scikit-learn", "POT", "scipy", "numpy")),
    "cases": [
        case("one parent", normal(size=(60, 3)), normal(size=(50, 3))),
        case("narrow", normal(size=(50, 3)), normal(0, 0.5, size=(61, 3))),
        case("dropped mode", normal(size=(80, 2)) + 6 * rng.integers(0, 2, size=(80, 1)), normal(size=(40, 2))),
    ],
    "sliced": sliced(normal(size=(40, 3)), normal(0.3, 1.2, size=(25, 3)), 8),
}
print(json.dumps(golden).replace('{"name"', '\n {"name"'))
