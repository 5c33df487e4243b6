"""Does pretraining pay? All entries on four real data sets, few labels, with a verdict.

    python benchmarks/label_efficiency.py

reads the data sets from ../shared/data (``--data``), keeps what is done in ``--cache`` so that it
can be interrupted and repeated, and writes tables and a figure for the documentation: five splits
with four draws each, 20 per size. GeneICL takes part where it is installed.
"""

import argparse
import importlib.util
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import panel_data
from geneicl_adapter import GeneICLClassifier

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.evaluation import (
    compare,
    default_baselines,
    label_efficiency_curve,
    mean_scores,
)
from sslgex.plotting import LabelEfficiencyDisplay

SIZES = (20, 50, 100, 200)
SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "neg_log_loss": "log loss, negated",
}
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


def sweep(data: panel_data.DataSet, args: argparse.Namespace):
    """Run one data set, or take it from the cache."""
    return label_efficiency_curve(
        entries(len(set(data.y))),
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


def tables(results, title: str, ours: list[str], n_genes: int) -> str:
    """Return the part of the page for one data set."""
    baselines = [name for name in results.entries if name not in ours]
    tested = len(results.y)
    lines = [title, "-" * len(title), ""]
    lines += [f"{tested:,} samples, {n_genes:,} genes, {len(results.classes)} classes.", ""]
    for metric, name in SHOWN.items():
        means = mean_scores(results, metric=metric)
        head = [name, *(f"{n} labels" for n in results.label_sizes)]
        rows = [[entry, *(f"{m:.3f}" for m in means[entry][:, 0])] for entry in results.entries]
        lines += csv_table(f"Mean {name}", head, rows)
        opponent = results.best(baselines, metric=metric)
        head = ["entry", *(f"{n} labels" for n in results.label_sizes)]
        head += ["mean gain", "verdict", "labels saved"]
        rows = [row(compare(results, entry, opponent, metric=metric)) for entry in ours]
        lines += csv_table(f"{name.capitalize()} minus that of {opponent}", head, rows)
    return "\n".join(lines)


def row(c) -> list[str]:
    """Return the entry, its differences with intervals, the mean gain, verdict, labels saved."""
    cells = [c.a]
    for difference, (low, high), verdict in zip(c.difference, c.interval, c.verdicts, strict=True):
        mark = {"helps": " \\*", "hurts": " \\*", "cannot tell": ""}[verdict]
        cells.append(f"{difference:+.3f} ({low:+.3f}, {high:+.3f}){mark}")
    low, high = c.gain_interval
    saved = [
        f"{100 * s:.0f} %" if np.isfinite(s) else "not reached" for s in c.labels_saved_interval
    ]
    return [
        *cells,
        f"{c.gain:+.3f} ({low:+.3f}, {high:+.3f})",
        f"**{c.verdict}**",
        " to ".join(saved),
    ]


def csv_table(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a csv-table of reStructuredText."""
    header, *body = (", ".join(f'"{cell}"' for cell in cells) for cells in [head, *rows])
    options = [f"   :header: {header}", "   :class: table-sm", ""]
    return [f".. csv-table:: {title}", *options, *(f"   {line}" for line in body), ""]


def figure(found: dict, ours: list[str], path: Path) -> None:
    """Draw the curves of all data sets."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    for axis, (title, results) in zip(axes.flat, found.items(), strict=False):
        baselines = [name for name in results.entries if name not in ours]
        opponent = results.best(baselines, metric="accuracy")
        unfrozen = [name for name in ours if name.endswith("unfrozen")]
        LabelEfficiencyDisplay.from_results(
            results, metric="accuracy", highlight=[opponent, *unfrozen], ax=axis
        )
        axis.set_title(title)
    fig.savefig(path, dpi=110)


def machine() -> str:
    """Return what the numbers were computed with."""
    packages = ["sslgex", "scikit-learn", "torch", "numpy"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{versions}, Python {platform.python_version()}, {platform.machine()}, CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(panel_data.NAMES)[:4])
    parser.add_argument("--cache", type=Path, default=root / ".cache" / "label_efficiency")
    parser.add_argument("--n-draws", type=int, default=4, help="per split")
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs")
    args = parser.parse_args()
    # Expected here: 20 labels are fewer than some sets' classes.
    warnings.filterwarnings("ignore", message="Labelled subsets lack a class")
    ours = [f"{name} {mode}" for name in METHODS for mode in ("frozen", "unfrozen")]
    parts, found = [], {}
    for name in args.sets:
        data = panel_data.load(name, args.data)
        title = data.title + (" (some defaults were chosen on it)" if data.chosen_on else "")
        found[data.title] = results = sweep(data, args)
        parts.append(tables(results, title, ours, data.X.shape[1]))
        print(parts[-1], flush=True)
    (args.out / "tables").mkdir(parents=True, exist_ok=True)
    text = "\n".join([*parts, f"Computed with {machine()}.", ""])
    (args.out / "tables" / "panel.inc").write_text(text, encoding="utf-8")
    (args.out / "figures").mkdir(parents=True, exist_ok=True)
    figure(found, ours, args.out / "figures" / "panel.png")


if __name__ == "__main__":
    main()
