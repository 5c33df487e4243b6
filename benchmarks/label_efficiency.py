"""Does pretraining pay? All entries on four real data sets, few labels, with a verdict.

    python benchmarks/label_efficiency.py

reads the data sets from ../shared/data (``--data``), takes about 80 minutes on two cores, keeps
what is done in ``--cache`` so that it can be interrupted and repeated, and writes the table of
docs/panel.rst.
"""

import argparse
import importlib.util
import warnings
from pathlib import Path

import panel_data
from geneicl_adapter import GeneICLClassifier

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.evaluation import default_baselines, label_efficiency_curve

SIZES = (20, 50, 100, 200)
METHODS = {"SCARF": ScarfTransformer, "VIME": VimeTransformer, "BYOL": ByolTransformer}


def entries(n_classes: int) -> dict:
    """Return the baselines, and every method frozen and unfrozen with the defaults."""
    found = default_baselines()
    if n_classes <= 10 and importlib.util.find_spec("geneicl"):
        found["GeneICL"] = GeneICLClassifier()
    for name, method in METHODS.items():
        found[f"{name} frozen"] = SSLClassifier(method(), mode="frozen")
        found[f"{name} unfrozen"] = SSLClassifier(method())
    return found


def sweep(name: str, args: argparse.Namespace):
    """Run one data set, or take it from the cache."""
    data = panel_data.load(name, args.data)
    n_classes = len(set(data.y))
    return label_efficiency_curve(
        entries(n_classes),
        data.X,
        data.y,
        groups=data.groups,
        label_sizes=SIZES,
        n_draws=args.n_draws,
        cv=args.cv,
        n_jobs=args.n_jobs,
        random_state=0,
        cache=args.cache,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(panel_data.NAMES))
    parser.add_argument("--cache", type=Path, default=root / ".cache" / "label_efficiency")
    parser.add_argument("--n-draws", type=int, default=5, help="per split")
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()
    # Expected here: 20 labels are fewer than some sets' classes, and too few to stop early by.
    warnings.filterwarnings("ignore", message="Labelled subsets lack a class")
    warnings.filterwarnings("ignore", message="Too few labels for early stopping")
    for name in args.sets:
        print(sweep(name, args), flush=True)


if __name__ == "__main__":
    main()
