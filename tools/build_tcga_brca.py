"""Build the embedded TCGA breast cancer data from the raw files.

Run from the repository root, with the directory of the raw files::

    python tools/build_tcga_brca.py ../shared/data

Reads ``tcga_brca_pam50.h5ad`` (the data) and ``tcga_11paired.h5ad`` (only to find the rows that
are averages over tissues; none of its values are stored). Writes the same bytes every time. Needs
anndata and scikit-learn.
"""

import argparse
import hashlib
from pathlib import Path

import anndata
import numpy as np
from sklearn.feature_selection import f_classif

OUTPUT = Path(__file__).parents[1] / "sslgex" / "datasets" / "data" / "tcga_brca.npz"
# The wheel stays under 5 MB, with room for the code.
MAX_BYTES = 4_500_000
# Of a row that is the tumour alone the fitted weight is 1, of an average over two tissues 1/2.
MAX_WEIGHT = 0.85


def most_variable(X, n_genes):
    """Return the indices of the `n_genes` columns of largest variance, without any labels."""
    variance = X.astype(np.float64).var(axis=0)
    # A stable sort makes ties, and with them the output, independent of the platform.
    order = np.argsort(-variance, kind="stable")
    return order[:n_genes], variance[order[n_genes - 1]]


def tumour_weights(brca, paired):
    """Fit ``row = w * tumour + (1 - w) * normal`` for every patient with both tissues.

    Parameters
    ----------
    brca : AnnData
        One row per patient.
    paired : AnnData
        Tumour and normal tissue of the same patients, one row each.

    Returns
    -------
    dict
        Patient to the least squares weight of the tumour, over the genes common to both files.
    """
    genes = brca.var_names.intersection(paired.var_names)
    rows = brca[:, genes].to_df().astype(np.float64)
    tissue = paired[paired.obs["cancer"] == "BRCA", genes]
    frames = {
        status: tissue[tissue.obs["status"] == status].to_df().astype(np.float64)
        for status in ("tumor", "normal")
    }
    for status, frame in frames.items():
        frame.index = tissue.obs.loc[tissue.obs["status"] == status, "patient"].astype(str)
    both = rows.index.intersection(frames["tumor"].index).intersection(frames["normal"].index)
    weights = {}
    for patient in both:
        row, tumour, normal = (f.loc[patient].to_numpy() for f in (rows, *frames.values()))
        # The files code undetected genes differently: 0 after the averaging, -2 in the other.
        detected = (row != 0) & (tumour > -1) & (normal > -1)
        difference = (tumour - normal)[detected]
        weights[patient] = difference @ (row - normal)[detected] / (difference @ difference)
    return weights


def encode(X, step):
    """Return `X` as int16 multiples of `step`, and the largest error of decoding to float32."""
    codes = np.rint(X.astype(np.float64) / step)
    if np.abs(codes).max() > np.iinfo(np.int16).max:
        raise ValueError(f"step {step} is too small: the values do not fit in int16.")
    codes = np.ascontiguousarray(codes, dtype="<i2")
    decoded = codes.astype(np.float32) * np.float32(step)
    return codes, float(np.abs(decoded.astype(np.float64) - X).max())


def main():
    """Build the file and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raw", type=Path, help="directory of the raw .h5ad files")
    parser.add_argument("--n-genes", type=int, default=3000, help="genes to keep (%(default)s)")
    parser.add_argument(
        "--step", type=float, default=1 / 256, help="fixed-point step in log2 units (%(default)s)"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file to write (%(default)s)")
    args = parser.parse_args()

    brca = anndata.read_h5ad(args.raw / "tcga_brca_pam50.h5ad")
    paired = anndata.read_h5ad(args.raw / "tcga_11paired.h5ad")
    X = np.asarray(brca.X)
    labels = brca.obs["label"].to_numpy().astype(str)
    patients = brca.obs["patient"].to_numpy().astype(str)
    if not np.isfinite(X).all():
        raise ValueError("The raw values hold NaN or infinity.")
    if len(np.unique(patients)) != len(patients) or (patients != brca.obs_names).any():
        raise ValueError("Expected one row per patient, named by the patient.")
    print(f"read {X.shape[0]} rows x {X.shape[1]} genes, one row per patient; uns: {brca.uns}")

    F = f_classif(X.astype(np.float64), labels)[0]
    print(
        f"upstream gene order: {np.mean(np.diff(F) < 0):.2%} of the steps descend in ANOVA F "
        f"against the labels, F from {F.max():.1f} to {F.min():.1f}"
    )

    chosen, threshold = most_variable(X, args.n_genes)
    genes = brca.var_names.to_numpy().astype(str)
    # Alphabetical, since the upstream order tells which genes separate the labels best.
    chosen = chosen[np.argsort(genes[chosen], kind="stable")]
    print(f"chose the {len(chosen)} genes of variance >= {threshold:.4f}, labels not used")

    weights = tumour_weights(brca, paired)
    averaged = np.array([weights.get(p, 1.0) < MAX_WEIGHT for p in patients])
    print(
        f"{averaged.sum()} rows are averages with normal tissue: weight of the tumour "
        f"{min(weights.values()):.2f} to {max(weights.values()):.2f} (median "
        f"{np.median(list(weights.values())):.3f}) in the {len(weights)} patients that have both"
    )

    codes, error = encode(X[:, chosen], args.step)
    print(f"fixed point: step {args.step} log2 units, largest rounding error {error:.7f}")

    names, subtype_codes = np.unique(labels, return_inverse=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.output,
        values=codes,
        step=np.float64(args.step),
        genes=genes[chosen],
        patients=patients,
        subtype=subtype_codes.astype(np.uint8),
        subtype_names=names,
        averaged_with_normal=averaged,
    )
    content = args.output.read_bytes()
    if len(content) > MAX_BYTES:
        args.output.unlink()
        raise ValueError(f"{len(content)} bytes exceed {MAX_BYTES}: lower --n-genes.")
    print(f"wrote {args.output.name}: {len(content)} bytes")
    print(f"sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
