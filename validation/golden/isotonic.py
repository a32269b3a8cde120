"""Golden values of isotonic calibration, from scikit-learn.

    pip install numpy scikit-learn
    python validation/golden/isotonic.py > validation/golden/isotonic.json
"""

import json

import numpy as np
from sklearn.isotonic import IsotonicRegression

rng = np.random.default_rng(1)
# Rounding makes ties.
scores = np.round(rng.normal(size=120), 1)
labels = (rng.random(120) < 1 / (1 + np.exp(-2 * scores))).astype(int)
# One event of the other class at either end.
model = IsotonicRegression(out_of_bounds="clip").fit(
    np.r_[scores, scores.min(), scores.max()], np.r_[labels, 1, 0]
)
at = np.linspace(-4, 4, 81)
print(
    json.dumps(
        {
            "scores": scores.tolist(),
            "labels": labels.tolist(),
            "at": at.tolist(),
            "probabilities": model.predict(at).tolist(),
        }
    )
)
