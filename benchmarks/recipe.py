"""Does the recipe pay, and which part of it? The claims of docs/evidence.md, on frozen splits.

    python benchmarks/recipe.py

On every data set five splits with 20 labelled subsets per size, drawn with seeds that nothing was
chosen on; every subset holds each class at least once. Of the package's default classifier and of
its parts, beside the fixed opponents, it writes scores and differences, with standard errors over
splits. What is done is kept in ``--cache``, so that it can be interrupted and repeated.

The classifiers are taken apart here, so that their common parts are fitted once; in one cell of
every split the whole, `SSLClassifier`, is fitted too and must predict the same.
"""

import warnings
from pathlib import Path

import frozen_splits
import numpy as np
import pandas as pd
import panel_data
import recipe_claims
from frozen_splits import log_probabilities, measure
from geneicl_adapter import GeneICLClassifier
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._head import LinearHead
from sslgex._linear_path import Features, LinearPath
from sslgex._pooled import PooledHead
from sslgex._training.seeds import Seeds
from sslgex._untrained import UntrainedTransformer

N_PUBLISHED = 4  # draws on which the study's network is trained
METHODS = {"BYOL": ByolTransformer, "SCARF": ScarfTransformer, "VIME": VimeTransformer}


def encoders(pool: np.ndarray, seed: int) -> dict:
    """Return the encoders of one split: pretrained, pretrained on permuted genes, untrained."""
    found = {name: method(random_state=seed).fit(pool) for name, method in METHODS.items()}
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(pool, axis=0)
    found["BYOL, genes permuted"] = ByolTransformer(random_state=seed).fit(permuted)
    random = UntrainedTransformer(embedding="all", random_state=seed)
    found["random network"] = random.fit(pool)
    return found


def some(features: Features, rows) -> Features:
    """Return what is seen of some samples."""
    return Features(*(part[rows] for part in features))


def unlabelled(features: Features, rows) -> Features:
    """Return what is seen of unlabelled samples, whose genes nobody looks at."""
    return some(features, rows)._replace(genes=features.genes[:0])


def cell(seen: dict, labelled, pool, test, y) -> dict:
    """Return the linear scores of the test samples by every contender.

    ``seen`` holds, per encoder, what the linear experts see of all training and test samples.
    """
    first = seen["BYOL"]
    head = PooledHead(random_state=Seeds(0).integer("split"))
    head.fit(some(first, labelled), y, X_unlabeled=unlabelled(first, pool))
    linear = head.without("embedding", "propagated")
    found = {
        "PCA (k by CV) + LR": linear.without("genes"),
        "LR on genes": linear.without("components"),
        "linear pool": linear,
        "linear pool + propagated": head.without("embedding"),
    }
    scores = {name: h.log_odds(some(first, test)) for name, h in found.items()}
    pca64 = LinearHead(random_state=head.seed).fit(first.components[labelled, :64], y)
    scores["PCA (64) + LR"] = pca64.log_odds(first.components[test, :64])
    for name, features in seen.items():
        whole = head.with_embedding(
            some(features, labelled), y, X_unlabeled=unlabelled(features, pool)
        )
        at_test = some(features, test)
        scores[f"{name}: default"] = whole.log_odds(at_test)
        scores[f"{name}: no pool"] = whole.without("propagated").log_odds(at_test)
        alone = LinearHead(random_state=head.seed).fit(features.embedding[labelled], y)
        scores[f"{name}: embedding + LR"] = alone.log_odds(features.embedding[test])
    return scores


def one_split(folder: Path, name: str, split: int, n_draws: int) -> list[dict]:
    """Return the scores of every size and draw of one split."""
    warnings.simplefilter("ignore")
    data = frozen_splits.load(folder, name, split)
    both = np.concatenate([data.train, data.test])
    here, there = np.arange(len(data.train)), np.arange(len(data.train), len(both))
    sizes = frozen_splits.sizes(data.n_classes)
    records = []
    with threadpool_limits(1):
        found = encoders(data.train, split)
        path = LinearPath.of(found["BYOL"], [], split)  # of the clean profiles, for all
        seen = {
            kind: path.features(both, encoder.transform(both).astype(np.float64))
            for kind, encoder in found.items()
        }
        for size, j, labelled in frozen_splits.draws(data.y, sizes, split, n_draws):
            X, y, rest = data.train[labelled], data.y[labelled], np.setdiff1d(here, labelled)
            scores = cell(seen, labelled, rest, there, y)
            if j == 0 and size == 50:
                whole = SSLClassifier(found["BYOL"], mode="frozen", random_state=0)
                whole.fit(X, y, X_unlabeled=data.train[rest])
                np.testing.assert_allclose(
                    whole.predict_proba(data.test), softmax(scores["BYOL: default"], 1), atol=1e-3
                )
            others = {}
            if j < N_PUBLISHED and size == sizes[-3]:
                others["the study's network"] = SSLClassifier.from_preset(
                    "dradjat2025", random_state=split
                )
            if name == "tcga_brca_pam50":
                others["GeneICL"] = GeneICLClassifier()
            for entry, clf in others.items():
                scores[entry] = log_probabilities(clf.fit(X, y), data.test)
            at = {"set": name, "size": str(size), "split": split, "draw": j}
            records += [
                at | {"entry": entry} | measure(s, data.y_test) for entry, s in scores.items()
            ]
    return records


def tables(frame: pd.DataFrame) -> dict[str, str]:
    """Return what docs/evidence.md shows."""
    titles = {name: panel_data.NAMES[name][0] for name in frame["set"].unique()}
    return {
        "recipe_claims": recipe_claims.claims_table(frame),
        "recipe_controls": recipe_claims.controls_table(frame),
        "recipe_means": recipe_claims.means_table(frame),
        "recipe_sets": recipe_claims.sets_table(frame, titles),
    }


if __name__ == "__main__":
    frozen_splits.visit(one_split, __doc__, tables, n_draws=20)
