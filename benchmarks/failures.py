"""What failed pretraining looks like: the table of docs/methods.md.

Each method is pretrained once as it should be and then with one parameter spoiled, on breast
tumours, as networks of random weights (the default encoder starts as principal components, from
where it is hard to collapse). What the loss, the spread and the spectrum then say stands beside
what the embedding is worth to logistic regression, so that it can be seen which of them tell.

    python benchmarks/failures.py

Takes two to three minutes on one core.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import load_tcga_brca
from sslgex.evaluation import embedding_spectrum

TABLE = Path(__file__).resolve().parent.parent / "docs" / "tables" / "failures.md"
N_GENES, N_LABELS = 1_000, 100
HOW = {
    "hidden_layer_sizes": (128, 128, 128),
    "architecture": "mlp",
    "embedding": "last",
    "batch_size": 128,
    "max_epochs": 60,
    "validation_fraction": 0.2,
    "random_state": 0,
}
SPOILED = {
    "SCARF": ScarfTransformer(**HOW),
    "SCARF, `corruption_rate=0.02`": ScarfTransformer(**HOW, corruption_rate=0.02),
    "SCARF, `corruption_rate=0.99`": ScarfTransformer(**HOW, corruption_rate=0.99),
    "SCARF, `temperature=0.02`": ScarfTransformer(**HOW, temperature=0.02),
    "SCARF, `lr=1.0`": ScarfTransformer(**HOW, lr=1.0),
    "VIME": VimeTransformer(**HOW),
    "VIME, `corruption_rate=0.02`": VimeTransformer(**HOW, corruption_rate=0.02),
    "VIME, `corruption_rate=0.99`": VimeTransformer(**HOW, corruption_rate=0.99),
    "VIME, `lr=1.0`": VimeTransformer(**HOW, lr=1.0),
    "BYOL": ByolTransformer(**HOW),
    "BYOL, `corruption_rate=0.02`": ByolTransformer(**HOW, corruption_rate=0.02),
    "BYOL, `corruption_rate=0.99`": ByolTransformer(**HOW, corruption_rate=0.99),
    "BYOL, `ema_decay=0.9999`": ByolTransformer(**HOW, ema_decay=0.9999),
    "BYOL, `lr=1.0`": ByolTransformer(**HOW, lr=1.0),
}
HEAD = (
    "| | loss, first and last epoch | held out, lowest and last | spread | collapsed "
    "| effective rank | RankMe | balanced accuracy |\n|---|---|---|---|---|---|---|---|\n"
)


def main():
    brca = load_tcga_brca()
    genes = np.random.default_rng(0).choice(brca.data.shape[1], N_GENES, replace=False)
    X_pool, X_test, y_pool, y_test = train_test_split(
        brca.data[:, genes], brca.target, stratify=brca.target, random_state=0
    )
    few = train_test_split(
        np.arange(len(y_pool)), train_size=N_LABELS, stratify=y_pool, random_state=0
    )[0]
    rows = []
    for name, encoder in SPOILED.items():
        encoder.fit(X_pool)
        spectrum = embedding_spectrum({name: encoder}, X_test)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a penalty at the edge of its grid
            clf = SSLClassifier(encoder, mode="frozen", head="linear", random_state=0)
            clf.fit(X_pool[few], y_pool[few])
        loss, held_out = encoder.loss_curve_, encoder.validation_loss_curve_
        cells = [
            f"{loss[0]:.2f}, {loss[-1]:.2f}",
            f"{min(held_out):.2f}, {held_out[-1]:.2f}",
            f"{encoder.history_[-1]['spread']:.2f}",
            f"{spectrum.n_collapsed[name][0]} of {spectrum.n_measurable[name][0]}",
            f"{spectrum.effective_rank[name][0]:.0f}",
            f"{spectrum.rankme[name][0]:.0f}",
            f"{100 * balanced_accuracy_score(y_test, clf.predict(X_test)):.0f}",
        ]
        rows.append(f"| {name} | " + " | ".join(cells) + " |\n")
        print(rows[-1], end="", flush=True)
    TABLE.write_text(HEAD + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
