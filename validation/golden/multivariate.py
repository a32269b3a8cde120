#!/usr/bin/env python3
"""Golden values for the distances of whole events, from the functions of the JetNet library themselves.

    pip install jetnet==0.2.5
    python multivariate.py > multivariate.json
"""
import json
import sys
from importlib.metadata import version

import numpy as np
from jetnet.evaluation import fpd, gen_metrics, kpd
from scipy.optimize import curve_fit, nnls
from scipy.stats import iqr

rng = np.random.default_rng(20261123)


def fit(sizes, values):
    """The fit that JetNet asks curve_fit for, and what curve_fit makes of it: with bounds it stops short of the minimum."""
    x = np.stack([np.ones(len(sizes)), 1 / sizes], axis=1)
    scaled, residual = nnls(x * [1, sizes[0]], values)
    error = np.sqrt(residual**2 / (len(sizes) - 2) * np.linalg.inv(x.T @ x)[0, 0])
    params, covs = curve_fit(gen_metrics._linear, 1 / sizes, values, bounds=([0, 0], [np.inf, np.inf]))
    return {"values": list(values), "intercept": scaled[0], "error": float(error),
            "curve_fit": [params[0], float(np.sqrt(np.diag(covs)[0]))]}


# Correlated features of different widths.
mix = rng.normal(size=(5, 5))
a = rng.normal(size=(60, 5)) @ mix
b = rng.normal(0.3, 1.2, size=(50, 5)) @ mix
sizes = (1 / np.linspace(1 / 20_000, 1 / 50_000, 10)).astype("int32")
noise = rng.normal(scale=1e-5, size=10)
batches = rng.normal(size=10)
shift = 0.3
x, y = rng.normal(size=(2, 50_000, 4))
y[:, 0] += shift
golden = {
    "made_with": f"jetnet {version('jetnet')}, numpy {np.__version__}, python {sys.version.split()[0]}",
    "a": a.tolist(),
    "b": b.tolist(),
    "frechet": float(gen_metrics._calculate_frechet_distance(
        a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))),
    "squared_discrepancy": float(gen_metrics._mmd_poly_quadratic_unbiased(a, b)),
    "fit": {
        "sizes": sizes.tolist(),
        "lines": [fit(sizes, 0.01 + 3 / sizes + noise), fit(sizes, 3 / (sizes + 10_000) - 2e-5 + noise), fit(sizes, 0.01 - 3 / sizes + noise)],
    },
    "quantiles": {
        "values": batches.tolist(),
        "median": float(np.median(batches)),
        "error": float(iqr(batches, rng=(16.275, 83.725)) / 2),
    },
    "shifted": {
        "shift": shift,
        "fpd": [float(v) for v in fpd(x, y, normalise=False)],
        "kpd": [float(v) for v in kpd(x, y, normalise=False)],
    },
}
json.dump(golden, sys.stdout, indent=1)
