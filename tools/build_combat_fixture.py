"""Build ``tests/data/combat_inmoose.npz``: what inmoose's ComBat makes of a few small matrices.

Run from the repository root, in an environment of its own (inmoose is not a dependency)::

    python -m pip install numpy inmoose==0.9.1
    python tools/build_combat_fixture.py

Writes the same values every time. The file in the repository was made with inmoose 0.9.1.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from inmoose.pycombat import pycombat_norm

OUTPUT = Path(__file__).parents[1] / "tests" / "data" / "combat_inmoose.npz"
CASES = {
    "default": {},
    "mean_only": {"mean_only": True},
    "ref_batch": {"ref_batch": "B"},
    "ref_batch_mean_only": {"ref_batch": "B", "mean_only": True},
}


def main():
    rng = np.random.default_rng(0)
    batch = rng.permutation(np.repeat(["A", "B", "C", "D"], [2, 5, 8, 13]))
    X = rng.normal(8, np.linspace(0.3, 3, 15), size=(len(batch), 15))
    X[batch == "C"] *= rng.uniform(0.7, 1.6, size=15)
    X[batch == "D"] += rng.normal(1, 1, size=15)
    X[batch == "C", 3] = 0.1  # constant in one batch, as a gene is that it does not detect
    X[batch == "A", 4] = 5
    X = X.astype(np.float32).astype(np.float64)
    corrected = {
        name: np.asarray(pycombat_norm(X.T, batch, **params)).T for name, params in CASES.items()
    }
    np.savez_compressed(OUTPUT, version=version("inmoose"), X=X, batch=batch, **corrected)


if __name__ == "__main__":
    main()
