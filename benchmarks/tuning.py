"""What does each parameter of pretraining do to the loss, to the embedding and to its score?

    OMP_NUM_THREADS=1 python benchmarks/tuning.py --n-jobs 2

varies one parameter of SCARF, VIME and BYOL at a time, the others being the package's defaults: on
the embedded breast tumours, or of any file with labels (``--target FILE --label COLUMN --groups
COLUMN``). Three splits, in which a patient is never divided; labelled subsets of the training
samples; on the embedding logistic regression with a tuned penalty. Fixed before the first run:
accuracy is what the pictures show, and no default of the package is chosen by what comes out.

What is done is kept in ``--cache``, so that it can be interrupted and repeated. Writes a table and
a picture per parameter to docs/, and a table of all. ``--quick`` tries it out on a fragment.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from joblib import parallel_config
from label_efficiency import machine
from tuning_grid import KNOBS, encoders, small
from tuning_report import Findings, figure, overview, table

from sslgex import SSLClassifier
from sslgex.datasets import load_tcga_brca
from sslgex.evaluation import embedding_spectrum, label_efficiency_curve

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks" / "paper"))
from study import Setting, held_out, read, write  # noqa: E402  (a folder beside, not a package)

QUICK = {"n_samples": 160, "n_genes": 200, "cv": 2, "n_draws": 2, "label_sizes": [16, 32]}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--target", type=Path, help="file of samples with labels; none: the embedded breast tumours"
    )
    add("--label", default="label", help="its column with the classes")
    add("--groups", help="its column with patients or studies")
    add("--parameters", nargs="+", default=list(KNOBS), choices=list(KNOBS))
    add("--label-sizes", type=int, nargs="+", default=[50, 200])
    add("--cv", type=int, default=3)
    add("--n-draws", type=int, default=3, help="labelled subsets per split and size")
    add("--n-jobs", type=int, default=2)
    add("--cache", type=Path, default=ROOT / ".cache" / "tuning")
    add("--out", type=Path, default=ROOT / "docs")
    add(
        "--quick", action="store_true", help="a fragment of the data and of the grid, to try it out"
    )
    parser.set_defaults(source=None, protocol="resample")
    args = parser.parse_args()
    if args.quick:
        args.cv, args.n_draws, args.label_sizes = (
            QUICK[k] for k in ("cv", "n_draws", "label_sizes")
        )
    return args


def load(args: argparse.Namespace) -> Setting:
    """Return the samples."""
    if args.target is not None:
        setting = read(args)
    else:
        for folder in ("tables", "figures"):
            (args.out / folder).mkdir(parents=True, exist_ok=True)
        X, y = load_tcga_brca(return_X_y=True)
        setting = Setting("TCGA breast tumours", "tcga_brca", X, y, None, [])
    return fragment(setting) if args.quick else setting


def fragment(setting: Setting) -> Setting:
    """Return some of the samples and genes, under another name."""
    rows = np.random.default_rng(0).permutation(len(setting.y))[: QUICK["n_samples"]]
    return setting._replace(
        title=f"A fragment of {setting.title}",
        name=f"quick_{setting.name}",
        X=np.ascontiguousarray(setting.X[rows, : QUICK["n_genes"]]),
        y=setting.y[rows],
        groups=None if setting.groups is None else setting.groups[rows],
    )


def run(setting: Setting, args: argparse.Namespace) -> Findings:
    """Pretrain, score and look at every encoder, or take it from the cache."""
    base = {"max_epochs": 4} if args.quick else {}
    knobs = {name: small(name) if args.quick else KNOBS[name] for name in args.parameters}
    found = encoders(knobs, base)
    how = held_out(setting, args)
    results = label_efficiency_curve(
        {n: SSLClassifier(e, mode="frozen", head="linear") for n, e in found.items()},
        setting.X,
        setting.y,
        label_sizes=args.label_sizes,
        n_draws=args.n_draws,
        scoring=["accuracy", "balanced_accuracy"],
        **how,
    )
    spectra = embedding_spectrum(found, setting.X, setting.y, **how)
    return Findings(setting.title, knobs, base, results, spectra, setting.X.shape[1])


def main() -> None:
    args = parse()
    setting = load(args)
    # A fit has one thread, whatever there is: many fits at once are done sooner, and their seconds
    # can be compared.
    with parallel_config(backend="loky", inner_max_num_threads=1):
        found = run(setting, args)
    computed = f"\nComputed with {machine()}, one thread per fit, {args.n_jobs} at a time.\n"
    write(overview(found) + computed, f"tuning_{setting.name}", args)
    for parameter in found.knobs:
        where = f"tuning_{setting.name}_{parameter}"
        write(table(found, parameter), where, args)
        figure(found, parameter, args.out / "figures" / f"{where}.png")
    minutes = sum(s.sum() for s in found.results.pretrain_seconds.values()) / 60
    minutes += sum(np.nansum(s) for s in found.results.fit_seconds.values()) / 60
    print(f"{minutes:.1f} minutes of fits, one thread each, what came from the cache included")


if __name__ == "__main__":
    main()
