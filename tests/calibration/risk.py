"""Fit the risk that `netcheck/figures/risk.py` states, and show what it says of families that it was not fitted to.

    python -m tests.calibration.risk FEATURES.jsonl ...      files that `features.py` wrote; needs scikit-learn

Printed, for each optimizer, of each family as a fit to all others predicts it, and of all as fits to the other half predict them
(halves by the parity of their numbers): the AUC and the expected calibration error (10 bins); precision and recall of a risk of
`LIKELY` or more, and of the warnings with it in the place of NC607's rank and of NC610; and the weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from netcheck.figures.risk import LIKELY, UNUSED, features_of

Rows = list[dict[str, Any]]
BINS = 10


def read(files: Sequence[str]) -> Rows:
    """The networks of which all is known that the model needs."""
    rows = [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]
    return [row for row in rows if row.get("rank") is not None]


def table_of(rows: Rows) -> np.ndarray:
    """(networks, features)."""
    renamed = {"gain": "held", "turned": "unpredictability", "spread": "homogeneity"}
    names = ("gain", "rank", "differing", "turned", "spread", "recurrent")
    return np.array([features_of(**{name: row[renamed.get(name, name)] for name in names}) for row in rows])


def fitted(features: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Intercept and weights of a logistic regression with a unit L2 penalty on standardized features."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(0), features.std(0)
    deviation[deviation == 0] = 1.0  # what no network of these has
    model = LogisticRegression(max_iter=5000).fit((features - mean) / deviation, lost)
    weights = model.coef_[0] / deviation
    return np.array([model.intercept_[0] - weights @ mean, *weights])


def predicted(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The probability of each network."""
    return 1 / (1 + np.exp(-(weights[0] + features @ weights[1:])))


def seen_with(optimizer: str, features: np.ndarray) -> np.ndarray:
    """The features, without the one that the model of the other optimizer has in its place."""
    return features * (np.arange(features.shape[1]) != UNUSED[optimizer])


def kept_out(features: np.ndarray, lost: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The probability of each network, by a fit to those of all other groups."""
    stated = np.zeros(len(lost))
    for group in set(groups):
        part = groups == group
        stated[part] = predicted(fitted(features[~part], lost[~part]), features[part])
    return stated


def calibration_error(stated: np.ndarray, lost: np.ndarray) -> float:
    """The mean over networks of |stated - observed| in bins of a tenth."""
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    return sum(abs(stated[bins == k].mean() - lost[bins == k].mean()) * (bins == k).mean() for k in set(bins))


def rates(said: np.ndarray, lost: np.ndarray) -> list[Any]:
    """Precision and recall."""
    return [float(lost[said].mean()) if said.any() else None, float(said[lost].mean()) if lost.any() else None]


def main(files: Sequence[str]) -> None:
    """Print the tables and the weights."""
    from sklearn.metrics import roc_auc_score

    rows = read(files)
    table, families = table_of(rows), np.array([row["family"] for row in rows])
    facts = np.array([bool(set(row["warned"]) - {"NC607", "NC610"}) for row in rows])
    halves = np.array([int(row["name"].split()[-1]) % 2 for row in rows])
    for optimizer in ("sgd", "adam"):
        lost = np.array([not row[optimizer] for row in rows])
        features = seen_with(optimizer, table)
        by_family, by_half = kept_out(features, lost, families), kept_out(features, lost, halves)
        lines, names = [], sorted(set(families))
        for family, stated in [("halves", by_half), ("families", by_family), *((name, by_family) for name in names)]:
            part = families == family if family in families else np.ones(len(rows), bool)
            auc = roc_auc_score(lost[part], stated[part]) if 0 < lost[part].sum() < part.sum() else None
            numbers = [part.sum(), lost[part].sum(), auc, calibration_error(stated[part], lost[part])]
            likely = stated >= LIKELY
            lines.append([family, *numbers, *rates(likely[part], lost[part]), *rates((facts | likely)[part], lost[part])])
        headers = (optimizer, "networks", "lost", "AUC", "ECE", "precision", "recall", "with warnings: precision", "recall")
        print(tabulate(lines, headers=headers, floatfmt=".3f"))
        print(f'    "{optimizer}": ({", ".join(f"{each:.3f}" for each in fitted(features, lost))}),\n')


if __name__ == "__main__":
    main(sys.argv[1:])
