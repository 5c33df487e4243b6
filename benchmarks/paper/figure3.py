"""Figure 3 of the study: accuracy by labels, frozen and unfrozen, and the labels saved.

    python benchmarks/paper/figure3.py --target tcga.h5ad --groups patient
    python benchmarks/paper/figure3.py --source archs4.h5 --target tcga.h5ad

The three methods, pretrained and fine-tuned as published, against the same network without
pretraining and, which the study has not, against tuned linear models.
"""

import argparse
import warnings
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from study import (
    BASELINE,
    LINEAR,
    METHODS,
    Setting,
    describe,
    gap,
    networks,
    parser,
    protocol,
    read,
    write,
)

from sslgex.evaluation import compare, label_efficiency_curve, mean_scores
from sslgex.plotting import LabelEfficiencyDisplay

GRID = [20, 50, 100, 200]
MODES = ("unfrozen", "frozen")


def run(setting: Setting, args: argparse.Namespace):
    """Fit everything, or take it from the cache."""
    return label_efficiency_curve(
        networks(setting, args),
        setting.X,
        setting.y,
        label_sizes=args.label_sizes,
        **protocol(setting, args),
    )


def table(results, setting: Setting) -> str:
    """Return accuracies, differences and labels saved, as Markdown."""
    n = len(results.splits)
    draws = f"{n} split{'s' * (n > 1)}, {results.n_draws} draws each"
    lines = [f"{describe(setting)}; {draws}.", ""]
    for metric, words in (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy")):
        opponent = results.best(LINEAR, metric=metric)
        means = mean_scores(results, metric=metric)
        head = " / ".join(f"{n:.0f}" for n in results.positions)
        lines += [
            f"| {words}, per cent, at {head} labels | | minus the study's baseline, points | "
            f"minus {opponent}, points | labels saved over the baseline |",
            "|---|---|---|---|---|",
        ]
        for entry in results.entries:
            scores = " / ".join(f"{100 * mean:.1f}" for mean in means[entry][:, 0])
            gaps = [gap(results, entry, other, metric) for other in (BASELINE, opponent)]
            saved = labels_saved(results, entry, metric)
            lines.append(f"| {entry} | {scores} | {' | '.join(gaps)} | {saved} |")
        lines.append("")
    return "\n".join([*lines, *differences(results)])


def differences(results) -> list[str]:
    """Return the unfrozen methods against the baseline and each other, size by size."""
    names = [f"{name} unfrozen" for name in METHODS]
    pairs = [(name, BASELINE) for name in names]
    pairs += list(combinations(names, 2))
    head = " | ".join(f"{n:.0f} labels" for n in results.positions)
    lines = [
        f"| accuracy, points | {head} | all |",
        "|---" * (len(results.label_sizes) + 2) + "|",
    ]
    for a, b in pairs:
        found = compare(results, a, b, metric="accuracy")
        all_sizes = (found.gain, *found.gain_interval)
        cells = [*zip(found.difference, *found.interval.T, strict=True), all_sizes]
        cells = [
            f"{100 * d:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" for d, low, high in cells
        ]
        lines.append(f"| {a} minus {b} | {' | '.join(cells)} |")
    for name in (*names, BASELINE):
        spread = 100 * results.scores("accuracy")[name].std(axis=(0, 2))
        cells = " | ".join(f"{points:.1f}" for points in spread)
        lines.append(f"| standard deviation of {name} | {cells} | |")
    return [*lines, ""]


def labels_saved(results, entry: str, metric: str) -> str:
    """Return the share of the labels saved, with its interval."""
    if entry == BASELINE:
        return ""
    found = compare(results, entry, BASELINE, metric=metric)
    best, low, high = (
        f"{100 * share:.0f} %" if np.isfinite(share) else "none"
        for share in (found.labels_saved, *found.labels_saved_interval)
    )
    return f"{best} ({low} to {high})"


def figure(results, setting: Setting, path: Path) -> None:
    """Draw the curves, unfrozen and frozen."""
    fig, axes = plt.subplots(1, 2, figsize=(15, 4.6), layout="constrained", sharey=True)
    for axis, mode in zip(axes, MODES, strict=True):
        mine = [f"{name} {mode}" for name in METHODS]
        others = [BASELINE, results.best(LINEAR, metric="accuracy")]
        others += ["random encoder frozen"] if mode == "frozen" else []
        LabelEfficiencyDisplay.from_results(
            results, metric="accuracy", entries=[*mine, *others], ax=axis
        )
        axis.set_title(f"{setting.title}, {mode}")
    fig.savefig(path, dpi=110)


def main() -> None:
    args = parser(__doc__.splitlines()[0], GRID).parse_args()
    warnings.filterwarnings("ignore", message="Labelled subsets lack a class")
    setting = read(args)
    results = run(setting, args)
    where = f"figure3_{setting.name}_{args.protocol}"
    write(table(results, setting), where, args)
    figure(results, setting, args.out / "figures" / f"{where}.png")


if __name__ == "__main__":
    main()
