"""Two-sample classifier: a multilayer perceptron of scikit-learn, of the shape, optimiser and protocol that simile has by default."""

import copy

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier

TRAIN, VALIDATION, SEEDS = 0.57, 0.09, 3
CLASSES = np.array([0, 1])


def fit(x, y, validation, epochs, seed):
    """The network of the epoch with the smallest loss on the validation part."""
    network = MLPClassifier((256, 256, 256), batch_size=256, learning_rate_init=1e-3, alpha=0.0, random_state=seed)
    best = (np.inf, None)
    for _ in range(epochs):
        network.partial_fit(x, y, classes=CLASSES)
        loss = log_loss(validation[1], network.predict_proba(validation[0]))
        if loss < best[0]:
            best = (loss, copy.deepcopy((network.coefs_, network.intercepts_)))
    network.coefs_, network.intercepts_ = best[1]
    return network


def repetition(a, b, number, epochs):
    """AUC and Jensen–Shannon divergence on the test part, which begins `number` test parts further on."""
    n = min(len(a), len(b))
    ends = np.rint(np.array([TRAIN, TRAIN + VALIDATION]) * n).astype(int)
    rows = np.split(np.roll(np.arange(n), -number * (n - ends[1])), ends)
    parts = [(np.concatenate([a[part], b[part]]), np.repeat(CLASSES, len(part))) for part in rows]
    mean, width = parts[0][0].mean(axis=0), parts[0][0].std(axis=0)
    train, validation, test = [((x - mean) / width, y) for x, y in parts]
    network = fit(*train, validation, epochs, number)
    scores = [network.predict_proba(x)[:, 1] for x, _ in (validation, test)]
    calibration = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4, out_of_bounds="clip").fit(scores[0], validation[1])
    divergence = 1 - log_loss(test[1], calibration.predict(scores[1])) / np.log(2)
    return roc_auc_score(test[1], scores[1]), divergence


def c2st(rng, a, b, epochs):
    """Means over repetitions, and the same for disjoint halves of the reference."""
    order = rng.permutation(len(a))
    a, b = a[order], b[order] if len(a) == len(b) else b[rng.permutation(len(b))]
    halves = np.array_split(a, 2)
    values, floors = (np.mean([repetition(x, y, number, epochs) for number in range(SEEDS)], axis=0)
                      for x, y in ((a, b), halves))
    return {"auc": {"value": values[0], "floor": floors[0]}, "jensen_shannon": {"value": values[1], "floor": floors[1]}}
