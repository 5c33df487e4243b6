"""Does an encoder of one study help with the few labels of another?

    python benchmarks/transfer.py

pretrains on the profiles of one study and classifies another over their common genes: cell lines on
arrays, then nine cancers by RNA-seq; colorectal and lung tumours, then the subtypes of breast
tumours, from another pipeline. Five splits of the target with four draws of labels in each. What is
done is kept in ``.cache``; tables and a figure go to docs/.
"""

import argparse
from pathlib import Path

import numpy as np
from label_efficiency import machine
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from transfer_source import CACHE, METHODS, PAIRS, ROOT, WAYS, FromSource, labels_of_source, studies

from sslgex import SSLClassifier
from sslgex.evaluation import compare, default_baselines, label_efficiency_curve, mean_scores

SIZES = {"cancers": (10, 20, 50, 100), "breast": (10, 50)}
SHOWN = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
GENES, COMPONENTS = "logistic regression", "PCA + logistic regression"
OF_TARGET = "BYOL of the target, default head"
RANDOM = "random network, default head"
# Where a tissue's cancers would be expected among the cell lines.
TISSUES = {
    "BLCA": "urinary_tract",
    "BRCA": "breast",
    "GBM": "central_nervous_system",
    "HNSC": "upper_aerodigestive_tract",
    "KIRP": "kidney",
    "LGG": "central_nervous_system",
    "LIHC": "liver",
    "LUAD": "lung",
    "LUSC": "lung",
}


def entries(pair: str) -> dict:
    """Return what is compared: what the target has by itself, then encoders of the source."""
    baselines = default_baselines()
    found = {name: baselines[name] for name in (GENES, COMPONENTS)}
    found[OF_TARGET] = SSLClassifier(METHODS["BYOL"], mode="frozen")
    found[RANDOM] = SSLClassifier(METHODS["random network"], mode="frozen")
    for method in METHODS:
        # What learns most is corrected for batches too, where every split pretrains anew.
        every = method in ("BYOL", "PCA of the source")
        for way in list(WAYS)[: None if every else 2]:
            encoder = FromSource(method, pair, way)
            found[f"{method}, {way}"] = SSLClassifier(encoder, mode="frozen", head="linear")
            if method == "BYOL":
                found[f"BYOL, {way}, default head"] = SSLClassifier(encoder, mode="frozen")
    return found


def sweep(pair: str, n_draws: int, n_jobs: int):
    """Run one pair, or take it from the cache."""
    _, X, y = studies(pair)
    return label_efficiency_curve(
        entries(pair),
        X,
        y,
        label_sizes=SIZES[pair],
        scoring=["accuracy", "balanced_accuracy", "neg_log_loss"],
        n_draws=n_draws,
        n_jobs=n_jobs,
        random_state=0,
        cache=CACHE / "fits",
    )


def table(pair: str, results) -> str:
    """Return scores and differences of all entries, as Markdown."""
    sources, X, y = studies(pair)
    n_source = sum(map(len, sources))
    lines = [
        f"**{PAIRS[pair].title}**: {n_source:,} profiles to pretrain on, {len(y):,} of the target, "
        f"{len(np.unique(y))} classes, {X.shape[1]:,} common genes.",
        "",
    ]
    head = " / ".join(map(str, results.label_sizes))
    balanced = len(set(np.unique(y, return_counts=True)[1])) == 1
    for metric, words in SHOWN.items():
        if balanced and metric == "balanced_accuracy":  # the same, then
            continue
        means = mean_scores(results, metric=metric)
        opponent = results.best([GENES, COMPONENTS], metric=metric)
        lines += [
            f"| {words}, per cent, at {head} labels | | minus {opponent}, mean of all, points | "
            "minus the random network, default head |",
            "|---|---|---|---|",
        ]
        for entry in results.entries:
            scores = " / ".join(f"{100 * mean:.1f}" for mean in means[entry][:, 0])
            gaps = [gap(results, entry, other, metric) for other in (opponent, RANDOM)]
            lines.append(f"| {entry} | {scores} | {' | '.join(gaps)} |")
        lines.append("")
    return "\n".join(lines)


def gap(results, entry: str, opponent: str, metric: str) -> str:
    """Return the mean difference over the numbers of labels, its interval and the verdict."""
    if entry == opponent:
        return ""
    found = compare(results, entry, opponent, metric=metric)
    low, high = found.gain_interval
    return f"{100 * found.gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), {found.verdict}"


def embedding(way: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where BYOL puts cell lines and cancers, the target known without its labels."""
    _, X, _ = studies("cancers")
    encoder = FromSource("BYOL", "cancers", way).fit(X)
    return encoder.encoder_.transform(encoder.meet(X)), encoder.transform(X)


def figure(path: Path) -> str:
    """Draw where the classes of both studies fall; return how near the right tissue is."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, _, y = studies("cancers")
    tissue = labels_of_source("cancers")
    names = sorted(set(TISSUES.values()))
    colours = dict(zip(names, plt.get_cmap("tab10").colors, strict=False))
    fig, axes = plt.subplots(1, len(WAYS), figsize=(15, 4.4), layout="constrained")
    lines = [
        "| way | cancers whose nearest tissue of cell lines is their own | its mean rank of "
        f"{len(np.unique(tissue))} |",
        "|---|---|---|",
    ]
    for axis, way in zip(axes, WAYS, strict=True):
        Z_source, Z = embedding(way)
        nearest, rank = ranks(Z_source, tissue, Z, y)
        lines.append(f"| {way} | {nearest} of {len(TISSUES)} | {rank:.1f} |")
        plane = PCA(2).fit(np.concatenate([Z_source, Z]))
        here, there = plane.transform(Z_source), plane.transform(Z)
        others = ~np.isin(tissue, names)
        axis.scatter(*here[others].T, s=4, color="0.85", label="other cell lines")
        for name in names:
            label = name.replace("_", " ")
            mine = tissue == name
            axis.scatter(*here[mine].T, s=10, color=colours[name], marker="o", label=label)
            theirs = [TISSUES[c] == name for c in y]
            axis.scatter(*there[theirs].T, s=26, color=colours[name], marker="^", ec="k", lw=0.4)
        axis.set(title=way, xticks=[], yticks=[])
        axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    marks = [
        axes[0].scatter([], [], s=26, color="w", marker="^", ec="k", lw=0.8),
        axes[0].scatter([], [], s=14, color="0.4", marker="o"),
    ]
    fig.legend(
        [*marks, *handles],
        ["tumour (target)", "cell line (source)", *labels],
        loc="outside lower center",
        ncols=6,
        frameon=False,
    )
    fig.savefig(path, dpi=110)
    plt.close(fig)
    return "\n".join(lines)


def ranks(Z_source: np.ndarray, tissue: np.ndarray, Z: np.ndarray, y: np.ndarray):
    """Return for how many cancers the own tissue's centroid is nearest, and its mean rank."""
    names = np.unique(tissue)
    centroids = np.array([Z_source[tissue == name].mean(axis=0) for name in names])
    mine = np.array([Z[y == cancer].mean(axis=0) for cancer in TISSUES])
    order = np.argsort(cdist(mine, centroids, "cosine"), axis=1)
    place = [
        1 + list(names[row]).index(own) for row, own in zip(order, TISSUES.values(), strict=True)
    ]
    return sum(p == 1 for p in place), float(np.mean(place))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--n-draws", type=int, default=4, help="per split, of which there are 5")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    args = parser.parse_args()
    for pair in args.pairs:
        text = table(pair, sweep(pair, args.n_draws, args.n_jobs))
        (args.out / "tables" / f"transfer_{pair}.md").write_text(text, encoding="utf-8")
        print(text, flush=True)
    text = figure(args.out / "figures" / "transfer.png")
    (args.out / "tables" / "transfer_tissues.md").write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\n{machine()}")


if __name__ == "__main__":
    main()
