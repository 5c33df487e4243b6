"""Figure 4 of the study: the gain by depth and width, and the spectra of the embeddings.

    python benchmarks/paper/figure4.py --target tcga.h5ad --groups patient

The gain is the mean difference of accuracy, over the range of labels, to the same network without
pretraining. The spectra are of held-out samples; the encoders that have the least and the most
blocks.
"""

import argparse

import numpy as np
from study import (
    METHODS,
    Setting,
    describe,
    fine_tuned,
    held_out,
    parser,
    pretrainers,
    protocol,
    read,
    write,
)

from sslgex._untrained import UntrainedTransformer
from sslgex.evaluation import architecture_sweep, compare, embedding_spectrum, mean_scores
from sslgex.plotting import ArchitectureDisplay, SpectrumDisplay

METRIC = "accuracy"


def sweep(setting: Setting, args: argparse.Namespace):
    """Fit every architecture, or take it from the cache."""
    return architecture_sweep(
        fine_tuned(args, pretrainers(args, setting.sources)),
        setting.X,
        setting.y,
        depths=args.depths,
        widths=args.widths,
        label_sizes=args.label_sizes,
        select="validation",
        **protocol(setting, args),
    )


def spectra(setting: Setting, args: argparse.Namespace):
    """Return the spectra of all methods, and of a random network, in two depths."""
    encoders = {}
    for depth in (min(args.depths), max(args.depths)):
        sizes = (max(args.widths),) * depth
        for name, encoder in pretrainers(args, setting.sources).items():
            encoders[f"{name}, {depth} blocks"] = encoder.set_params(hidden_layer_sizes=sizes)
        encoders[f"random, {depth} blocks"] = UntrainedTransformer(sizes)
    return embedding_spectrum(encoders, setting.X, **held_out(setting, args))


def table(found, setting: Setting, args: argparse.Namespace) -> str:
    """Return the gains and accuracies of all architectures and of those selected, as Markdown."""
    shapes = [(d, w) for w in found.widths for d in found.depths]
    head = " | ".join(f"{d} × {w}" for d, w in shapes) + " | selected by validation |"
    rule = "|---" * (2 + len(shapes)) + "|"
    lines = [
        f"{describe(setting)}; {len(found.results.splits)} splits, {found.results.n_draws} draws "
        "each.",
        "",
        f"| gain in {METRIC}, points | {head}",
        rule,
    ]
    for method in METHODS:
        gains = np.swapaxes(found.gain(method, metric=METRIC), 0, 1).reshape(-1, 3)
        chosen = compare(found.results, f"{method}, selected", "baseline, selected", metric=METRIC)
        cells = [
            f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
            for mean, low, high in [*gains, (chosen.gain, *chosen.gain_interval)]
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    means = mean_scores(found.results, metric=METRIC)
    sizes = " / ".join(f"{n:.0f}" for n in found.results.positions)
    lines += ["", f"| {METRIC}, per cent, at {sizes} labels | {head}", rule]
    for name in [*METHODS, "baseline"]:
        entries = [f"{name}, {d} x {w}" for d, w in shapes] + [f"{name}, selected"]
        cells = [" / ".join(f"{100 * mean:.1f}" for mean in means[e][:, 0]) for e in entries]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def table_of_spectra(found, setting: Setting) -> str:
    """Return collapsed dimensions and effective ranks, as Markdown."""
    frame = found.to_frame().groupby("entry", sort=False)
    columns = ["n_dimensions", "n_measurable", "n_collapsed", "effective_rank", "rankme"]
    means = frame[columns].mean()
    lines = [
        f"{describe(setting)}; means over the splits.",
        "",
        "| embedding | dimensions | measurable | collapsed | effective rank | RankMe |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in means.iterrows():
        cells = [f"{row[c]:.0f}" for c in columns[:3]] + [f"{row[c]:.1f}" for c in columns[3:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    options = parser(__doc__.splitlines()[0], [20, 50, 100, 200])
    options.add_argument("--depths", type=int, nargs="+", default=list(range(2, 11)))
    options.add_argument("--widths", type=int, nargs="+", default=[256, 1024])
    args = options.parse_args()
    setting = read(args)

    found = spectra(setting, args)
    where = f"spectra_{setting.name}"
    write(table_of_spectra(found, setting), where, args)
    display = SpectrumDisplay.from_results(found)
    display.ax_.set_title(setting.title)
    display.figure_.savefig(args.out / "figures" / f"{where}.png", dpi=110)

    gains = sweep(setting, args)
    where = f"figure4_{setting.name}_{args.protocol}"
    write(table(gains, setting, args), where, args)
    display = ArchitectureDisplay.from_results(gains, metric=METRIC)
    display.figure_.suptitle(setting.title)
    display.figure_.savefig(args.out / "figures" / f"{where}.png", dpi=110)


if __name__ == "__main__":
    main()
