"""Single features: tests and distances of `scipy.stats`, histograms in numpy, and what these are for halves of the reference.

Where scipy has no function (the jackknife, χ² of merged bins, separation power) numpy works on whole arrays at once.
"""

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats._morestats import _anderson_ksamp_right

GROUPS, SPLITS, BINS = 20, 10, 45
TAIL, PADDING, LOG_RANGE, MIN_EXPECTED = 0.001, 0.05, 30.0, 10.0


def divisions(rng, events):
    """A group for each event, and which groups are the first half in each division of the reference."""
    groups = rng.permutation(np.arange(events) % GROUPS).astype(np.uint8)
    first = np.array([rng.permutation(np.arange(GROUPS) < GROUPS // 2) for _ in range(SPLITS)])
    return groups, first


def edges(reference):
    """Bins that span the bulk of the reference; of equal ratio where it is positive and spans a large ratio."""
    ordered = np.sort(reference)
    low, high = ordered[(len(ordered) - 1) * np.array([1, 99]) // 100]
    log = low > 0 and high > LOG_RANGE * low
    if log:
        ordered = ordered[ordered > 0]
    low, high = ordered[np.rint((len(ordered) - 1) * np.array([TAIL, 1 - TAIL])).astype(int)]
    if log:
        margin = max((high / low) ** PADDING, 1.01)
        return np.geomspace(low / margin, high * margin, BINS + 1)
    margin = PADDING * (high - low)
    return np.linspace(low - margin, high + margin, BINS + 1)


def histograms(edges, values, groups):
    """Entries of each group below, in and above the bins: `[groups, bins + 2]`."""
    slots = np.searchsorted(edges, values, side="right")
    return np.bincount(groups.astype(np.intp) * (BINS + 2) + slots, minlength=GROUPS * (BINS + 2)).reshape(GROUPS, -1)


def chi2(a, b):
    """χ² of one parent; neighbouring bins are merged until the smaller sample is expected to have enough in each."""
    smaller = min(a.sum(), b.sum()) / (a.sum() + b.sum())
    merged, open_bin = [], np.zeros(2)
    for pair in np.stack([a, b], axis=1):
        open_bin = open_bin + pair
        if open_bin.sum() * smaller >= MIN_EXPECTED:
            merged.append(open_bin)
            open_bin = np.zeros(2)
    merged[-1] = merged[-1] + open_bin
    return stats.chi2_contingency(np.array(merged).T, correction=False)


def separation(a, b):
    """Separation power and Jensen–Shannon divergence in bits."""
    a, b = a / a.sum(), b / b.sum()
    both = np.where(a + b > 0, a + b, 1)
    return 0.5 * ((a - b) ** 2 / both).sum(), jensenshannon(a, b, base=2) ** 2


def anderson_darling(a, b):
    """A² of Scholz & Stephens 1987, eq. 6, which `scipy.stats.anderson_ksamp` standardises."""
    pooled = np.sort(np.concatenate([a, b]))
    sizes = np.array([len(a), len(b)])
    return _anderson_ksamp_right([np.sort(a), np.sort(b)], pooled, np.unique(pooled), 2, sizes, len(pooled))


def without_groups(a, b, groups_a, groups_b):
    """Wasserstein distances without the events of each group, all from one sorted array."""
    values = np.concatenate([a, b])
    order = np.argsort(values)
    steps = np.diff(values[order])
    of_a = order < len(a)
    groups = np.concatenate([groups_a, groups_b])[order]

    def distribution(own, sizes):
        of_group = np.array([np.cumsum(own & (groups == group), dtype=np.int32) for group in range(GROUPS)])
        return (of_group.sum(axis=0) - of_group) / (sizes.sum() - sizes)[:, None]

    f = distribution(of_a, np.bincount(groups_a, minlength=GROUPS))
    f -= distribution(~of_a, np.bincount(groups_b, minlength=GROUPS))
    return np.abs(f[:, :-1], out=f[:, :-1]) @ steps


def jackknife_error(replicates):
    return np.sqrt((GROUPS - 1) / GROUPS * ((replicates - replicates.mean()) ** 2).sum())


def moments(x):
    mean, variance = x.mean(), x.var()
    std = variance**0.5
    fluctuation = np.sqrt((((x - mean) ** 2 - variance) ** 2).sum())
    return {"mean": mean, "mean_error": std / len(x) ** 0.5, "std": std,
            "std_error": fluctuation / (2 * std * len(x))}


def floors(a, groups, first, of_group, size):
    """Means over divisions of the reference, scaled to the sizes compared."""
    found = []
    for half in first:
        of_first = half[groups]
        x, y = a[of_first], a[~of_first]
        shrink = len(x) * len(y) / (len(x) + len(y)) / size
        squares = separation(of_group[half].sum(axis=0), of_group[~half].sum(axis=0))
        distances = stats.ks_2samp(x, y, method="asymp").statistic, stats.wasserstein_distance(x, y), stats.energy_distance(x, y)
        found.append([*(np.array(distances) * shrink**0.5), *(np.array(squares) * shrink)])
    return dict(zip(("ks", "wasserstein", "energy_distance", "separation_power", "jensen_shannon"), np.mean(found, axis=0)))


def compare(a, b, groups_a, groups_b, first):
    """Everything about one feature, as float64, with the names of `metrics.json`."""
    bins = edges(a)
    of_group, of_b = histograms(bins, a, groups_a), histograms(bins, b, groups_b).sum(axis=0)
    of_a = of_group.sum(axis=0)
    floor = floors(a, groups_a, first, of_group, len(a) * len(b) / (len(a) + len(b)))
    ks, cramer, chi = stats.ks_2samp(a, b), stats.cramervonmises_2samp(a, b), chi2(of_a, of_b)
    power, divergence = separation(of_a, of_b)
    return {
        "ks": {"statistic": ks.statistic, "p_value": ks.pvalue, "floor": floor["ks"]},
        "anderson_darling": {"statistic": anderson_darling(a, b)},
        "cramer_von_mises": {"statistic": cramer.statistic, "p_value": cramer.pvalue},
        "chi2": {"statistic": chi.statistic, "ndf": chi.dof, "p_value": chi.pvalue},
        "wasserstein": {"value": stats.wasserstein_distance(a, b), "floor": floor["wasserstein"],
                        "error": jackknife_error(without_groups(a, b, groups_a, groups_b))},
        "energy_distance": {"value": stats.energy_distance(a, b), "floor": floor["energy_distance"]},
        "separation_power": {"value": power, "floor": floor["separation_power"]},
        "jensen_shannon": {"value": divergence, "floor": floor["jensen_shannon"]},
        "reference": moments(a),
        "candidate": moments(b),
    }


def correlations(a, b, groups, first):
    """Root mean square difference of the coefficients of all pairs, and its floor from the sums of every group."""
    pairs = np.triu_indices(a.shape[1], 1)

    def distance(x, y):
        return np.sqrt(((x[pairs] - y[pairs]) ** 2).mean())

    def coefficients(moments):
        n, mean, second = moments
        covariance = second / n - np.outer(mean / n, mean / n)
        width = np.sqrt(np.diag(covariance))
        return covariance / np.outer(width, width)

    centred = a - a.mean(axis=0)
    parts = [centred[groups == group] for group in range(GROUPS)]
    sums = [(len(x), x.sum(axis=0), x.T @ x) for x in parts]
    total = lambda kept: [sum(terms) for terms in zip(*(s for s, keep in zip(sums, kept) if keep))]
    found = [distance(coefficients(total(half)), coefficients(total(~half))) for half in first]
    shrink = len(a) / 4 / (len(a) * len(b) / (len(a) + len(b)))
    return {"value": distance(np.corrcoef(a, rowvar=False), np.corrcoef(b, rowvar=False)),
            "floor": np.mean(found) * shrink**0.5}
