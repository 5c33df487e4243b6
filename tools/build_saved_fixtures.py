"""Build ``tests/data/saved-VERSION/``: files that this version saved, and what they predict.

Run from the repository root before a release, and commit what it writes::

    python tools/build_saved_fixtures.py

Every later version must read them: `tests/test_faults_files.py` sees to it.
"""

from pathlib import Path

import numpy as np

import sslgex
from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression

OUTPUT = Path(__file__).parents[1] / "tests" / "data" / f"saved-{sslgex.__version__}"
HOW = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


def build():
    """Fit one estimator of every kind on few simulated profiles, save them and their results."""
    X, y = make_expression(n_samples=28, n_genes=12, return_X_y=True, random_state=0)
    y = np.array(["Basal", "LumA"], dtype=object)[(y > 1).astype(int)]
    scarf = ScarfTransformer((8,), projection_sizes=(4,), **HOW).fit(X)
    vime = VimeTransformer((8, 4), decoder_sizes=(4,), architecture="mlp", **HOW).fit(X)
    fitted = {
        "scarf": scarf,
        "vime": vime,
        "byol": ByolTransformer((8,), projection_sizes=(4,), prediction_sizes=(4,), **HOW).fit(X),
        "frozen": SSLClassifier(scarf, mode="frozen", random_state=0).fit(X, y),
        "unfrozen": SSLClassifier(vime, head="linear", early_stopping=False, **HOW).fit(X, y),
    }
    OUTPUT.mkdir(exist_ok=True)
    results = {"X": X}
    for name, estimator in fitted.items():
        sslgex.save(estimator, OUTPUT / f"{name}.safetensors")
        is_classifier = isinstance(estimator, SSLClassifier)
        results[name] = (estimator.predict_proba if is_classifier else estimator.transform)(X)
    np.savez_compressed(OUTPUT / "results.npz", **results)


if __name__ == "__main__":
    build()
