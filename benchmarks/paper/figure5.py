"""Figure 5 of the study: how many profiles pretraining needs.

    python benchmarks/paper/figure5.py --target tcga.h5ad --groups patient

Sources are pretrained on together with the target's training samples, as they are: they must be of
the same processing.
"""

from study import (
    BASELINE,
    Setting,
    describe,
    fine_tuned,
    gap,
    number,
    parser,
    pretrainers,
    protocol,
    read,
    write,
)

from sslgex.evaluation import mean_scores, pretraining_size_curve
from sslgex.plotting import PretrainingSizeDisplay

METRIC = "accuracy"


def table(results, setting: Setting) -> str:
    """Return accuracies by profiles pretrained on, as Markdown."""
    means = mean_scores(results, metric=METRIC)
    head = " / ".join(f"{n:.0f}" for n in results.positions)
    lines = [
        f"{describe(setting)}; {results.label_size:g} labels, {len(results.splits)} splits, "
        f"{results.n_draws} draws each.",
        "",
        f"| accuracy, per cent, pretrained on {head} profiles | | minus the baseline, points, "
        "smallest | largest |",
        "|---|---|---|---|",
    ]
    for entry in results.entries:
        scores = " / ".join(f"{100 * mean:.1f}" for mean in means[entry][:, 0])
        sizes = results.sizes[[0, -1]]
        gaps = [gap(results, entry, BASELINE, METRIC, lo=size, hi=size) for size in sizes]
        lines.append(f"| {entry} | {scores} | {' | '.join(gaps)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    options = parser(__doc__.splitlines()[0], [50])
    options.add_argument("--pretrain-sizes", type=number, nargs="+", help="none: the study's grid")
    args = options.parse_args()
    (label_size,) = args.label_sizes
    setting = read(args)
    results = pretraining_size_curve(
        fine_tuned(args, {**pretrainers(args, []), BASELINE: None}),
        setting.X,
        setting.y,
        label_size=label_size,
        pretrain_sizes=args.pretrain_sizes,
        X_unlabeled=setting.sources or None,
        **protocol(setting, args),
    )
    where = f"figure5_{setting.name}_{args.protocol}"
    write(table(results, setting), where, args)
    display = PretrainingSizeDisplay.from_results(results, metric=METRIC)
    display.ax_.set_title(f"{setting.title}, {label_size:g} labels")
    display.figure_.savefig(args.out / "figures" / f"{where}.png", dpi=110)


if __name__ == "__main__":
    main()
