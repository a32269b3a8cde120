#!/usr/bin/env python3
"""Golden values for the Fréchet distance of two Gaussians, as FID is worked out with it.

    pip install numpy==2.4.6 scipy==1.17.1
    python frechet.py > frechet.json
"""
import json
import sys

import numpy as np
import scipy
from scipy.linalg import sqrtm

rng = np.random.default_rng(20261123)


def frechet(a, b):
    """‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2·√(Σ₁Σ₂)), Heusel et al. 2017, arXiv:1706.08500."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(first @ second)
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root).real)


mix = rng.normal(size=(6, 6))
correlated = rng.normal(size=(80, 6)) @ mix, rng.normal(0.2, 1.3, size=(60, 6)) @ mix
# As features behind a rectifier: many zeros, correlations.
rectified = [np.maximum(0, rng.normal(shift, 1, size=(70, 6)) @ mix) for shift in (0.0, 0.4)]
golden = {
    "made_with": f"scipy {scipy.__version__}, numpy {np.__version__}, python {sys.version.split()[0]}",
    "cases": [
        {"name": name, "a": a.tolist(), "b": b.tolist(), "frechet": frechet(a, b)}
        for name, (a, b) in [("correlated", correlated), ("rectified", rectified)]
    ],
}
json.dump(golden, sys.stdout, indent=1)
