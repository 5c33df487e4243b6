"""Figure S5 of the study: does corruption change the class that a trained classifier sees?

    python benchmarks/paper/figure_s5.py --target tcga.h5ad --groups patient

Classifiers of all labels of the training samples; held-out samples, corrupted as in pretraining.
"""

from study import (
    BASELINE,
    LINEAR,
    Setting,
    describe,
    fine_tuned,
    held_out,
    parser,
    pretrainers,
    read,
    write,
)

from sslgex.evaluation import default_baselines, label_preservation
from sslgex.plotting import LabelPreservationDisplay


def table(found, setting: Setting) -> str:
    """Return the shares of decisions that corruption leaves as they were, as Markdown."""
    lines = [
        f"{describe(setting)}.",
        "",
        f"| decisions kept, per cent, at corruption {' / '.join(f'{r:g}' for r in found.rates)} | "
        "| 95 % are kept up to a rate of |",
        "|---|---|---|",
    ]
    for entry, kept in found.preserved.items():
        shares = " / ".join(f"{100 * mean:.1f}" for mean in kept[:, 0])
        lines.append(f"| {entry} | {shares} | {found.rate_kept(0.95)[entry]:.2f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    options = parser(__doc__.splitlines()[0], [])
    args = options.parse_args()
    setting = read(args)
    entries = fine_tuned(args, {**pretrainers(args, setting.sources), BASELINE: None})
    entries[LINEAR[0]] = default_baselines()[LINEAR[0]]
    found = label_preservation(entries, setting.X, setting.y, **held_out(setting, args))
    where = f"figure_s5_{setting.name}"
    write(table(found, setting), where, args)
    display = LabelPreservationDisplay.from_results(found)
    display.ax_.set_title(setting.title)
    display.figure_.savefig(args.out / "figures" / f"{where}.png", dpi=110)


if __name__ == "__main__":
    main()
