#!/usr/bin/env python3
"""Golden values for the two-sample statistics, from scipy.

    pip install numpy==2.* scipy==1.*
    python golden.py > golden.json

Samples are rounded to float32, as simile reads them. The Rust test reads golden.json.
"""
import json
import sys

import numpy as np
import scipy
from scipy import integrate, special, stats
from scipy.stats._hypotests import _cdf_cvm_inf
from scipy.stats._morestats import _anderson_ksamp_right
from scipy.stats._stats_py import _attempt_exact_2kssamp

rng = np.random.default_rng(20261122)


def f32(values):
    return np.asarray(values, dtype=np.float32).astype(float)


def effective(weights):
    return weights.sum() ** 2 / (weights**2).sum()


def weighted_ks(a, wa, b, wb):
    """Largest distance of the weighted distribution functions; scipy has the unweighted one only."""
    x = np.unique(np.concatenate([a, b]))
    cdf = lambda v, w: np.array([w[v <= t].sum() for t in x]) / w.sum()
    return float(np.abs(cdf(a, wa) - cdf(b, wb)).max())


def anderson_darling(a, b):
    """Scholz & Stephens 1987, eq. 6, for two samples; scipy.stats.anderson_ksamp standardises it."""
    pooled = np.sort(np.concatenate([a, b]))
    return float(_anderson_ksamp_right([np.sort(a), np.sort(b)], pooled, np.unique(pooled), 2,
                                       np.array([len(a), len(b)]), len(pooled)))


def anderson_darling_sf(x):
    """The limit of the two-sample statistic (Anderson & Darling 1952): one less the series, integrated numerically."""
    def term(j):
        t = (4 * j + 1) ** 2 * np.pi**2 / (8 * x)
        integral = integrate.quad(lambda w: np.exp(x / (8 * (w * w + 1)) - t * (w * w + 1)), 0, np.inf, epsabs=1e-14)[0]
        return special.binom(-0.5, j) * (4 * j + 1) * integral
    return float(1 - np.sqrt(2 * np.pi) / x * sum(term(j) for j in range(20)))


def one_dimensional(name, a, b, wa=None, wb=None):
    a, b = f32(a), f32(b)
    case = {"name": name, "a": a.tolist(), "b": b.tolist()}
    if wa is None:
        exact = stats.ks_2samp(a, b, method="exact")
        asymptotic = stats.ks_2samp(a, b, method="asymp")
        case |= {"ks": exact.statistic, "ks_p_exact": exact.pvalue, "ks_p_asymptotic": asymptotic.pvalue}
        case["wasserstein"] = stats.wasserstein_distance(a, b)
        case["energy_distance"] = stats.energy_distance(a, b)
        case["anderson_darling"] = anderson_darling(a, b)
        if "ties" not in name:
            cramer = stats.cramervonmises_2samp(a, b, method="asymptotic")
            case |= {"cramer_von_mises": cramer.statistic, "cramer_von_mises_p": cramer.pvalue}
        wa, wb = np.ones_like(a), np.ones_like(b)
    else:
        wa, wb = f32(wa), f32(wb)
        case |= {"weights_a": wa.tolist(), "weights_b": wb.tolist(), "ks": weighted_ks(a, wa, b, wb)}
        case["wasserstein"] = stats.wasserstein_distance(a, b, wa, wb)
        case["energy_distance"] = stats.energy_distance(a, b, wa, wb)
    case["mean_a"] = float(np.average(a, weights=wa))
    case["std_a"] = float(np.sqrt(np.average((a - case["mean_a"]) ** 2, weights=wa)))
    case["effective_a"] = effective(wa)
    return {key: float(value) if isinstance(value, np.floating) else value for key, value in case.items()}


def exact_ks(n1, n2, distance):
    """The exact p-value of a distance, which scipy gives for samples only: its own function behind ks_2samp."""
    success, rounded, p = _attempt_exact_2kssamp(n1, n2, np.gcd(n1, n2), distance, "two-sided")
    assert success
    return [n1, n2, float(rounded), float(p)]


def counts(name, a, b):
    """Pearson's homogeneity test of two rows of counts."""
    result = stats.chi2_contingency([a, b], correction=False)
    return {"name": name, "a": a, "b": b, "statistic": result.statistic, "ndf": int(result.dof), "p_value": result.pvalue}


def weighted_counts(name, rows):
    """Gagunashvili 2010 (NIM A 614, 287), two weighted histograms, bin by bin as ROOT's TH1::Chi2Test does with option WW."""
    w1, s1, w2, s2 = (np.array(row) for row in rows)
    n1, n2 = w1.sum(), w2.sum()
    statistic = float((((n2 * w1 - n1 * w2) ** 2) / (n2**2 * s1 + n1**2 * s2)).sum())
    # With the shares of both and their variances.
    shares = ((w1 / n1 - w2 / n2) ** 2 / (s1 / n1**2 + s2 / n2**2)).sum()
    assert abs(shares / statistic - 1) < 1e-12
    ndf = len(w1) - 1
    return {"name": name, "w1": rows[0], "s1": rows[1], "w2": rows[2], "s2": rows[3],
            "statistic": statistic, "ndf": ndf, "p_value": float(stats.chi2.sf(statistic, ndf))}


def poisson_interval(sumw, sumw2, empty_weight=1.0):
    """Garwood 1936 with the weights of Bohm & Zech 2014: central interval of one standard deviation."""
    weight = sumw2 / sumw if sumw > 0 else empty_weight
    entries, tail = sumw / weight, stats.norm.cdf(-1)
    low = stats.chi2.ppf(tail, 2 * entries) / 2 if entries > 0 else 0.0
    return [sumw, sumw2, float(weight * low), float(weight * stats.chi2.isf(tail, 2 * (entries + 1)) / 2)]


def auc(name, negative, positive):
    u = stats.mannwhitneyu(positive, negative).statistic
    return {"name": name, "negative": list(map(float, negative)), "positive": list(map(float, positive)),
            "auc": float(u / (len(negative) * len(positive)))}


normal = rng.normal
golden = {
    "made_with": f"numpy {np.__version__}, scipy {scipy.__version__}, python {sys.version.split()[0]}",
    "samples": [
        one_dimensional("same parent", normal(size=80), normal(size=60)),
        one_dimensional("shifted", normal(size=100), normal(0.4, 1.3, size=100)),
        one_dimensional("ties", rng.poisson(3, 70), rng.poisson(3.5, 50)),
        one_dimensional("log-normal energies", 1e3 * np.exp(normal(size=90)), 1.1e3 * np.exp(normal(size=75))),
        one_dimensional("disjoint", rng.uniform(0, 1, 30), rng.uniform(2, 3, 40)),
        one_dimensional("weights", normal(size=60), normal(0.3, 1, size=50), rng.uniform(0.5, 2, 60), rng.uniform(0.1, 3, 50)),
        one_dimensional("weights and ties", rng.poisson(4, 50), rng.poisson(4, 40), rng.uniform(0.5, 2, 50), rng.uniform(0.5, 2, 40)),
    ],
    "kolmogorov": [[x, float(special.kolmogorov(x))] for x in (0.1, 0.3, 0.5, 0.8, 1.0, 1.17, 1.19, 1.5, 2.0, 3.0, 5.0)],
    "cramer_von_mises_sf": [[x, float(1 - _cdf_cvm_inf(x))] for x in (0.02, 0.05, 0.1, 0.2, 0.461, 0.743, 1.167, 2.0)],
    "anderson_darling_sf": [[x, anderson_darling_sf(x)] for x in (0.2, 0.5, 1.0, 1.933, 2.492, 3.878, 6.0, 8.0, 10.0)],
    "counts": [
        counts("equal sizes", [25, 40, 31, 22], [30, 35, 38, 15]),
        counts("unequal sizes", [120, 250, 180, 90, 45], [60, 115, 95, 50, 15]),
        counts("different", [400, 300, 200, 100], [300, 300, 250, 150]),
    ],
    "weighted_counts": [
        weighted_counts("two weighted", [[30.0, 55.5, 41.2], [20.0, 44.0, 30.5], [15.2, 33.3, 20.1], [9.0, 21.5, 12.0]]),
        weighted_counts("different", [[900.0, 550.0, 410.0, 120.0], [800.0, 700.0, 300.0, 90.0], [15.5, 33.0, 25.0, 11.0], [3.0, 6.5, 5.5, 2.0]]),
        weighted_counts("one weighted", [[42.0, 58.0, 30.0], [42.0, 58.0, 30.0], [88.0, 101.0, 77.0], [150.0, 190.0, 130.0]]),
    ],
    "auc": [
        auc("continuous", normal(size=40), normal(0.5, 1, size=55)),
        auc("ties", rng.integers(0, 5, 30), rng.integers(1, 6, 35)),
    ],
    "exact_ks": [exact_ks(*case) for case in (
        (3, 5, 0.6), (7, 7, 3 / 7), (12, 30, 0.5), (30, 40, 1.0), (100, 100, 0.14), (100, 101, 0.2), (250, 1000, 0.08), (997, 1009, 0.05),
        (1000, 1000, 0.3), (2000, 3000, 0.2), (8192, 10_000, 0.02), (10_000, 10_000, 0.03), (9_999, 10_000, 0.0123))],
    "poisson_intervals": [poisson_interval(*case) for case in (
        (0, 0), (1, 1), (2, 2), (3, 3), (10, 10), (137, 137), (5000, 5000), (1e6, 1e6), (0.3, 0.09), (12.5, 30.25), (0.002, 1e-6), (4e5, 3.1e6))],
}
print("{")
print(f' "made_with": {json.dumps(golden.pop("made_with"))},')
sections = [f' "{key}": [\n  ' + ",\n  ".join(map(json.dumps, cases)) + "\n ]" for key, cases in golden.items()]
print(",\n".join(sections))
print("}")
