"""Whole events: FPD and KPD of the JetNet library, figures of neighbours and the kernel discrepancy from distances of scikit-learn,
sliced Wasserstein distances of scipy. Floors are those of disjoint halves or subsamples of the reference.
"""

import numpy as np
from features import jackknife_error, without_groups
from jetnet.evaluation import fpd, kpd
from joblib import delayed
from scipy.stats import wasserstein_distance
from sklearn.metrics import euclidean_distances

NEIGHBOURS, SUBSAMPLES, LARGEST, DIRECTIONS = 5, 5, 2000, 100


def floored(value, floor, shrink=1.0):
    return {"value": value[0], "error": value[1], "floor": floor[0] * shrink, "floor_error": floor[1] * shrink}


def reduced_size(a, b):
    return len(a) * len(b) / (len(a) + len(b))


def jetnet(rng, a, b, threads):
    """FPD and KPD; both shrink as 1/n between samples of one parent."""
    scale = np.abs(a).max(axis=0)
    samples = (a / scale, b / scale)
    halves = np.array_split(samples[0][rng.permutation(len(a))], 2)
    shrink = reduced_size(*halves) / reduced_size(a, b)

    def frechet(x, y):
        largest = min(len(x), len(y), 50_000)
        return fpd(x, y, min_samples=int(0.4 * largest), max_samples=largest, normalise=False)

    def kernel(x, y):
        return kpd(x, y, batch_size=min(len(x), len(y), 5000), normalise=False, num_threads=threads)

    return {"fpd": floored(frechet(*samples), frechet(*halves), shrink),
            "kpd": floored(kernel(*samples), kernel(*halves), shrink)}


class Cloud:
    """A subsample with the squared radii of its balls and the mean of the kernel over its pairs."""

    def __init__(self, points, squared_width):
        distances = euclidean_distances(points, squared=True)
        n = len(points)
        self.points = points
        self.balls = np.partition(distances, NEIGHBOURS, axis=1)[:, NEIGHBOURS]
        self.kernel = (np.exp(distances / (-2 * squared_width)).sum() - n) / (n * (n - 1))

    def compare(self, other, squared_width):
        distances = euclidean_distances(self.points, other.points, squared=True)
        inside = distances < self.balls[:, None]
        kernel = np.exp(distances / (-2 * squared_width)).mean()
        return [
            inside.any(axis=0).mean(),
            (distances < other.balls).any(axis=1).mean(),
            inside.sum() / (NEIGHBOURS * len(other.points)),
            inside.any(axis=1).mean(),
            self.kernel + other.kernel - 2 * kernel,
        ]


def neighbourhoods(rng, a, b):
    """Precision, recall, density, coverage and the squared discrepancy with a Gaussian kernel, of standardised events."""
    events = min(len(a) // (2 * SUBSAMPLES), len(b) // SUBSAMPLES, LARGEST)
    truth = a[rng.permutation(len(a))[: 2 * SUBSAMPLES * events]].reshape(2 * SUBSAMPLES, events, -1)
    fake = b[rng.permutation(len(b))[: SUBSAMPLES * events]].reshape(SUBSAMPLES, events, -1)
    pairs = np.triu_indices(events, 1)
    squared_width = np.median(euclidean_distances(truth[0])[pairs]) ** 2
    truth, fake = [[Cloud(points, squared_width) for points in clouds] for clouds in (truth, fake)]

    def against(others):
        found = np.array([x.compare(y, squared_width) for x, y in zip(truth, others)])
        return np.stack([found.mean(axis=0), found.std(axis=0, ddof=1) / len(found) ** 0.5], axis=1)

    figures = zip(against(fake), against(truth[SUBSAMPLES:]))
    return dict(zip(("precision", "recall", "density", "coverage", "mmd"), (floored(*figure) for figure in figures)))


def slice_distances(x, y, groups_x, groups_y, first):
    """Distance of one projection, without each of the groups, and of the halves of the reference."""
    halves = [wasserstein_distance(x[half[groups_x]], x[~half[groups_x]]) for half in first]
    return wasserstein_distance(x, y), without_groups(x, y, groups_x, groups_y), halves


def sliced_wasserstein(rng, a, b, groups, first, parallel):
    directions = rng.standard_normal((a.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    x, y = (a @ directions).T, (b @ directions).T
    slices = parallel(delayed(slice_distances)(x, y, *groups, first) for x, y in zip(x, y))
    distances, replicates, halves = (np.mean(part, axis=0) for part in zip(*slices))
    shrink = (len(a) / 4 / reduced_size(a, b)) ** 0.5
    floor = halves.mean(), halves.std(ddof=1) / len(halves) ** 0.5
    return floored((distances, jackknife_error(replicates)), floor, shrink)
