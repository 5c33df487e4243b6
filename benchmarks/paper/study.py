"""What the commands of this folder share: the data, the networks, the command line.

Every command computes one figure of the published study (Dradjat et al. 2025) on any two files: a
source of profiles without labels and a target with labels, or one file that is both.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from of_source import OfSource
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import common_genes, read_expression
from sslgex.evaluation import compare, default_baselines

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[2]
METHODS = {"SCARF": ScarfTransformer, "VIME": VimeTransformer, "BYOL": ByolTransformer}
BASELINE = "baseline"
LINEAR = ("logistic regression", "PCA + logistic regression")
MIN_SAMPLES = 10  # of a class, or it is left out


class Setting(NamedTuple):
    """A target with labels, and what its encoders are pretrained on.

    Attributes
    ----------
    title : str
        For figures.
    name : str
        For files.
    X : ndarray of shape (n_samples, n_genes)
        Profiles of the target.
    y : ndarray of shape (n_samples,)
        Their labels.
    groups : ndarray of shape (n_samples,) or None
        Their patients.
    sources : list of ndarray of shape (n_profiles, n_genes)
        Profiles of other studies, over the same genes; of none, encoders are pretrained on the
        target's training samples.
    """

    title: str
    name: str
    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    sources: list[np.ndarray]


def parser(description: str, label_sizes: list) -> argparse.ArgumentParser:
    """Return the options that all commands have."""
    options = argparse.ArgumentParser(description=description)
    add = options.add_argument
    add("--target", type=Path, required=True, help="file of the samples with labels")
    add("--source", type=Path, nargs="+", help="files to pretrain on; none: the target itself")
    add("--label", default="label", help="column of the target with the classes")
    add("--groups", help="column of the target with patients or studies")
    add("--protocol", choices=["resample", "dradjat2025"], default="resample")
    add("--label-sizes", type=number, nargs="+", default=label_sizes)
    add("--n-draws", type=int, default=4, help="per split; the study's protocol has 5, one split")
    add("--cv", type=int, default=5, help="folds; the study's protocol takes the first")
    add(
        "--pretraining",
        type=float,
        nargs="+",
        default=[1.0],
        help="share of the study's epochs: one number, or one each for SCARF, VIME, BYOL",
    )
    add("--fine-tuning", type=float, default=1.0, help="share of the study's epochs of that")
    add("--n-jobs", type=int, default=2)
    add("--cache", type=Path, default=ROOT / ".cache" / "paper")
    add("--out", type=Path, default=ROOT / "docs")
    return options


def number(text: str) -> int | float:
    """Return a number of labels, or a proportion of the training samples."""
    return float(text) if "." in text else int(text)


def read(args: argparse.Namespace) -> Setting:
    """Read target and sources, over their common genes."""
    for folder in ("tables", "figures"):  # before hours are spent
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    target = read_expression(args.target, verbose=0)
    labels = target.obs[args.label]
    kept = labels.notna() & (labels.map(labels.value_counts()).astype(float) >= MIN_SAMPLES)
    target = target[kept.to_numpy()].copy()
    sources = [read_expression(path, verbose=0) for path in args.source or []]
    genes = common_genes(target, *sources) if sources else target.var_names
    names = [path.stem for path in [*(args.source or []), args.target]]
    return Setting(
        title=" → ".join(names),
        name="_".join(names),
        X=values(target, genes),
        y=target.obs[args.label].astype(str).to_numpy(dtype=object),
        groups=None if args.groups is None else target.obs[args.groups].to_numpy(dtype=object),
        sources=[values(study, genes) for study in sources],
    )


def values(study, genes) -> np.ndarray:
    return np.ascontiguousarray(study[:, genes].to_df().to_numpy(np.float32))


def pretrainers(args: argparse.Namespace, sources: list) -> dict:
    """Return the three methods as the study has them, unfitted; of sources if there are any."""
    shares = args.pretraining if len(args.pretraining) > 1 else args.pretraining * len(METHODS)
    found = {}
    for (name, method), share in zip(METHODS.items(), shares, strict=True):
        pretrainer = method.from_preset("dradjat2025", validation_fraction=None)
        epochs = max(1, round(share * pretrainer.max_epochs))
        pretrainer.set_params(max_epochs=epochs)
        if sources:
            # One pretraining for all splits: of the target it takes means and scales only.
            pretrainer.set_params(random_state=0)
            pretrainer = OfSource(pretrainer, sources, args.cache / "encoders")
        found[name] = pretrainer
    return found


def classifier(args: argparse.Namespace, encoder=None, mode: str = "unfrozen") -> SSLClassifier:
    """Return the study's classifier; without an encoder and unfrozen it is its baseline."""
    found = SSLClassifier.from_preset("dradjat2025", encoder=encoder, mode=mode)
    return found.set_params(max_epochs=max(1, round(args.fine_tuning * found.max_epochs)))


def fine_tuned(args: argparse.Namespace, encoders: dict) -> dict:
    """Return encoders as the study trains them along with a linear layer."""
    return {name: classifier(args, encoder) for name, encoder in encoders.items()}


def networks(setting: Setting, args: argparse.Namespace) -> dict:
    """Return the entries: the study's, frozen and unfrozen, its baseline, and linear models."""
    baselines = default_baselines()
    found = {name: baselines[name] for name in LINEAR}
    found[BASELINE] = classifier(args)
    found["random encoder frozen"] = classifier(args, mode="frozen")
    for name, pretrainer in pretrainers(args, setting.sources).items():
        for mode in ("unfrozen", "frozen"):
            found[f"{name} {mode}"] = classifier(args, pretrainer, mode)
    return found


def protocol(setting: Setting, args: argparse.Namespace) -> dict:
    """Return the arguments of an evaluation that say how it is done."""
    return {
        **held_out(setting, args),
        "n_draws": args.n_draws,
        "protocol": args.protocol,
        "scoring": ["accuracy", "balanced_accuracy", "neg_log_loss"],
    }


def held_out(setting: Setting, args: argparse.Namespace) -> dict:
    """Return those of them that diagnoses of encoders take too."""
    kind = StratifiedKFold if setting.groups is None else StratifiedGroupKFold
    splitter = kind(args.cv, shuffle=True, random_state=0)
    splits = list(splitter.split(setting.X, setting.y, setting.groups))
    if args.protocol == "dradjat2025":
        splits = splits[:1]
    return {
        "groups": setting.groups,
        "cv": splits,
        "n_jobs": args.n_jobs,
        "random_state": 0,
        "cache": args.cache / "fits",
    }


def describe(setting: Setting) -> str:
    """Return what a table is of."""
    n_source = sum(map(len, setting.sources))
    n = f"{n_source:,} profiles to pretrain on, " if n_source else ""
    return (
        f"**{setting.title}**: {n}{len(setting.y):,} of the target, {len(set(setting.y))} classes, "
        f"{setting.X.shape[1]:,} genes"
    )


def write(text: str, name: str, args: argparse.Namespace) -> None:
    """Print a table and keep it for the documentation."""
    print(text, flush=True)
    (args.out / "tables" / f"{name}.md").write_text(text, encoding="utf-8")


def gap(results, entry: str, opponent: str, metric: str, **span) -> str:
    """Return the mean difference over a curve in points, its interval and the verdict."""
    if entry == opponent:
        return ""
    found = compare(results, entry, opponent, metric=metric, **span)
    low, high = found.gain_interval
    return f"{100 * found.gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), {found.verdict}"
