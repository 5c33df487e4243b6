"""The study's convergence: accuracy by epoch of fine-tuning, and the epochs to the baseline's best.

python benchmarks/paper/convergence.py --target tcga.h5ad --groups patient
"""

from study import (
    BASELINE,
    Setting,
    describe,
    fine_tuned,
    gap,
    parser,
    pretrainers,
    protocol,
    read,
    write,
)

from sslgex.evaluation import convergence_curve, mean_scores
from sslgex.plotting import ConvergenceDisplay

METRIC = "accuracy"
SHOWN = (1, 3, 10, 30, 100)  # epochs


def table(results, setting: Setting) -> str:
    """Return accuracies by epoch and the epochs needed, as Markdown."""
    shown = [k for k, epoch in enumerate(results.epochs) if epoch in SHOWN]
    means = mean_scores(results, metric=METRIC)
    needed = results.epochs_to(of=BASELINE, metric=METRIC)
    head = " / ".join(f"{results.epochs[k]}" for k in shown)
    lines = [
        f"{describe(setting)}; {results.label_size:g} labels, {len(results.splits)} splits, "
        f"{results.n_draws} draws each.",
        "",
        f"| accuracy, per cent, after {head} epochs | | minus the baseline, mean of all epochs, "
        "points | epochs to the baseline's best |",
        "|---|---|---|---|",
    ]
    for entry in results.entries:
        scores = " / ".join(f"{100 * means[entry][k, 0]:.1f}" for k in shown)
        best, low, high = (f"{epochs:.0f}" for epochs in needed[entry])
        difference = gap(results, entry, BASELINE, METRIC)
        lines.append(f"| {entry} | {scores} | {difference} | {best} ({low} to {high}) |")
    return "\n".join([*lines, ""])


def main() -> None:
    options = parser(__doc__.splitlines()[0], [100])
    options.add_argument("--epochs", type=int, default=100)
    args = options.parse_args()
    (label_size,) = args.label_sizes
    setting = read(args)
    entries = fine_tuned(args, {**pretrainers(args, setting.sources), BASELINE: None})
    results = convergence_curve(
        entries,
        setting.X,
        setting.y,
        label_size=label_size,
        max_epochs=args.epochs,
        **protocol(setting, args),
    )
    where = f"convergence_{setting.name}_{args.protocol}"
    write(table(results, setting), where, args)
    display = ConvergenceDisplay.from_results(results, metric=METRIC)
    display.ax_.set_title(f"{setting.title}, {label_size:g} labels")
    display.figure_.savefig(args.out / "figures" / f"{where}.png", dpi=110)


if __name__ == "__main__":
    main()
