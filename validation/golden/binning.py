#!/usr/bin/env python3
"""Golden values for Bayesian blocks, from astropy.

    pip install astropy==8.0.2
    python binning.py > binning.json
"""
import json
import sys

import astropy
import numpy as np
from astropy.stats import bayesian_blocks

rng = np.random.default_rng(20261124)


def case(name, values, p0=0.05):
    values = np.sort(np.asarray(values, dtype=np.float32).astype(float))
    edges = bayesian_blocks(values, fitness="events", p0=p0)
    return {"name": name, "values": values.tolist(), "false_positive": p0, "edges": edges.tolist()}


normal, exponential = rng.normal(size=400), rng.exponential(size=300)
golden = {
    "made_with": f"astropy {astropy.__version__}, numpy {np.__version__}, python {sys.version.split()[0]}",
    "cases": [
        case("normal", normal),
        case("normal, fewer false blocks", normal, 1e-4),
        case("exponential", exponential),
        case("peak on background", np.concatenate([rng.uniform(0, 10, 250), rng.normal(6, 0.1, 80)])),
        case("ties", np.round(rng.normal(5, 2, 200), 1)),
        case("counts", rng.poisson(4, 300)),
        case("two values", [1.0, 2.0]),
    ],
}
print(json.dumps(golden, indent=None).replace('{"name"', '\n {"name"'))
