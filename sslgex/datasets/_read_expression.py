"""One reader for expression matrices, which says what it concluded and why."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from .._genes import strip_versions
from .._training.warning import warn_user
from ._conclusions import (
    GENE_IDS,
    ORIENTATIONS,
    conclude_gene_ids,
    conclude_orientation,
    dates_among,
    unlike_the_others,
)
from ._duplicates import RULES, merge_genes, refuse_duplicate_samples
from ._formats import read_raw
from ._raw import GENES_IN_ROWS, Raw, require, some
from ._units import UNITS, Values, conclude_unit

_LARGEST_FLOAT32_INTEGER = 2**24
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
# What stands where a probe or an id is mapped to no gene.
_NAMELESS = {"", "nan", "NaN", "NA", "None", "<NA>", "---", "?"}
# Lines that counting programs add to the genes: STAR, and HTSeq before it wrote "__".
_TALLIES = {"N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"} | {
    "no_feature", "ambiguous", "too_low_aQual", "not_aligned", "alignment_not_unique",
}  # fmt: skip


def read_expression(
    source,
    *,
    layer: str | None = None,
    orientation: str = "auto",
    gene_ids: str = "auto",
    unit: str = "auto",
    duplicates: str = "auto",
    samples=None,
    search: str | None = None,
    verbose: int = 1,
) -> Any:
    """Read an expression matrix of any usual format as samples x genes.

    What the format leaves open is concluded from names and values: which way the matrix lies, what
    kind of gene identifiers and which unit it has. Every conclusion is printed with its evidence,
    kept in ``uns["sslgex"]``, and can be overridden. Where names do not tell which way the matrix
    lies, the reader refuses to guess and says which parameter settles it; a unit that cannot be
    told is "unknown". Values are neither scaled nor filled in. Genes of the same name are merged,
    and rows that are no genes are left out.

    Parameters
    ----------
    source : path, data frame or AnnData
        A file: delimited text (.csv, .tsv, .txt, compressed or not) as Xena, cBioPortal, GEO
        (series matrix), GTEx (GCT 1.2), featureCounts or a data frame's ``to_csv`` write it;
        parquet, h5ad, zarr, or ARCHS4's HDF5. The first bytes tell which, not the name.
    layer : str, default=None
        The layer of an AnnData (also h5ad and zarr) to read; its ``X`` by default.
    orientation : {"auto", "samples x genes", "genes x samples"}, default="auto"
        What is in rows and in columns of the source.
    gene_ids : str, default="auto"
        Kind of gene identifiers: "Ensembl gene", "Ensembl transcript", "RefSeq", "probe",
        "Entrez" or "symbol". Ensembl ids lose their versions.
    unit : str, default="auto"
        "counts", "expected counts", "TPM or CPM", "TPM", "CPM", "FPKM", "linear",
        "log2(TPM + 1)", "log2(CPM + 1)", "log2(x + 1)", "ln(x + 1)", "log(x + 1)", "log",
        "centred", "standardised" or "unknown". It is recorded and decides on the merging of
        duplicates; nothing is converted.
    duplicates : {"auto", "sum", "mean", "max", "first", "error"}, default="auto"
        How genes of the same name are merged. "auto" takes the sum of counts, TPM, CPM and FPKM,
        and the mean of logarithms and centred values.
    samples : list of str, default=None
        Of ARCHS4 only: the GEO accessions to read ("GSM1234567"). Their order is the file's.
    search : str, default=None
        Of ARCHS4 only: a regular expression, in any case, over series, title, source and
        characteristics of the samples. Without `samples` and `search` up to 20,000 samples are
        read.
    verbose : int, default=1
        With 1, a line per conclusion is printed. 0 is silent.

    Returns
    -------
    adata : AnnData of shape (n_samples, n_genes)
        ``X`` is float32, or float64 where integers beyond 2**24 = 16,777,216 would lose digits or
        a value is beyond 3.4e38; CSR if the source is sparse. Columns of text, and those of
        numbers named like a label ("age", "batch", "Length"), are in ``obs`` or ``var``.
        ``uns["sslgex"]`` is a dict of str: the conclusions (``"orientation"``, ``"gene_ids"``,
        ``"unit"``, ``"zeros"``, ...), and under ``"unit_evidence"`` and the like what they are
        drawn from. Of an AnnData ``obs``, ``var`` and ``uns`` are kept; other layers, ``obsm`` and
        ``raw`` are not.

    Raises
    ------
    ValueError
        If the evidence is weak or contradictory, the file is cut, damaged or something else than
        its name says, text stands among the numbers, two samples have the same name, or genes of
        the same name cannot be merged because the unit is unknown.
    TypeError
        If `source` has no names, as an ndarray.
    FileNotFoundError, IsADirectoryError
        If there is no such file, or it is a folder without a zarr store.
    ImportError
        If a package is missing that the format needs.

    Warns
    -----
    UserWarning
        If an override contradicts the evidence, columns of numbers are taken for annotations, some
        genes or samples are named unlike the others, values are not finite, a sample is zero in
        all genes, or gene names have become dates in a spreadsheet.

    See Also
    --------
    load_tcga_brca : Expression profiles that need no file.
    build_archs4, build_tcga : The sets of the study, with labels.

    Notes
    -----
    Missing values stay as they are: how to impute them is for a step of a pipeline to learn. The
    estimators refuse them.

    Among the names of symbols some are known: the 3,000 genes of :func:`load_tcga_brca`. Names
    such as A549 merely look like symbols, and decide nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> from sslgex.datasets import read_expression
    >>> frame = pd.DataFrame(
    ...     [[3, 120, 0], [9, 80, 44]],
    ...     index=["ENSG00000141510.18", "ENSG00000012048.23"],
    ...     columns=["TCGA-3C-AAAU", "TCGA-3C-AALI", "TCGA-3C-AALJ"],
    ... )
    >>> adata = read_expression(frame, verbose=0)
    >>> adata.shape, adata.var_names.tolist()
    ((3, 2), ['ENSG00000141510', 'ENSG00000012048'])
    >>> adata.uns["sslgex"]["orientation"], adata.uns["sslgex"]["unit"]
    ('genes x samples', 'counts')
    """
    _check_choice(orientation, "orientation", ORIENTATIONS)
    _check_choice(gene_ids, "gene_ids", GENE_IDS)
    _check_choice(unit, "unit", UNITS)
    _check_choice(duplicates, "duplicates", RULES)
    anndata = require("anndata", "anndata")
    pandas = require("pandas", "anndata")
    raw, where = read_raw(source, layer=layer, samples=samples, search=search)
    report = _Report(where, raw)

    values, obs, var = _oriented(raw, orientation, report)
    del raw
    refuse_duplicate_samples(list(obs.index), where)
    _tell_of_unlike(list(obs.index), "samples", report)
    values, var = _name_genes(values, var, gene_ids, report)
    found = Values(values)
    _conclude_unit(found, unit, report)
    values, var, merged = merge_genes(values, var, duplicates, report.said["unit"], where)
    report.say("duplicates", merged)
    if not merged.startswith("none"):
        found = Values(values)
    _tell_of_zeros(found, obs.index, report)
    _tell_of_missing(found, obs.index, var.index, report)

    largest = max(found.largest, -found.smallest)
    fits = largest <= (_LARGEST_FLOAT32_INTEGER if found.integers else _LARGEST_FLOAT32)
    dtype = np.float32 if fits else np.float64
    if sp.issparse(values):
        values = values.tocsr().astype(dtype)
    else:
        values = np.array(values, dtype=dtype, order="C")  # never the source's own memory
    if verbose:
        report.print()
    adata = anndata.AnnData(values, obs=pandas.DataFrame(obs), var=var, uns=report.uns)
    adata.uns["sslgex"] = report.as_strings()
    return adata


class _Report:
    """The conclusions, each with its evidence."""

    def __init__(self, where: str, raw: Raw):
        self.where, self.prescribed, self.uns = where, raw.gene_ids, raw.uns
        self.said: dict[str, str] = {}
        self.evidence: dict[str, str] = {}
        shape = f"{len(raw.rows):,} rows x {len(raw.columns):,} columns"
        self.say("source", where.replace("\\", "/").rpartition("/")[2])
        self.say("format", raw.format, shape)
        for name, remark in raw.remarks.items():
            self.say(name, remark)

    def say(self, what: str, conclusion: str, evidence: str = "") -> None:
        self.said[what] = conclusion
        if evidence:
            self.evidence[what] = evidence

    def warn(self, message: str) -> None:
        warn_user(f"{self.where}: {message}")

    def print(self) -> None:
        for what, conclusion in self.said.items():
            evidence = f" ({self.evidence[what]})" if what in self.evidence else ""
            print(f"[read_expression] {what}: {conclusion}{evidence}")

    def as_strings(self) -> dict[str, str]:
        return self.said | {f"{what}_evidence": why for what, why in self.evidence.items()}


def _check_choice(value, name: str, choices) -> None:
    if not isinstance(value, str) or value not in ("auto", *choices):
        raise ValueError(f"{name} must be 'auto' or one of {list(choices)}, got {value!r}.")


def _oriented(raw: Raw, orientation: str, report: _Report):
    """Return values as samples x genes, and the annotations of both."""
    if orientation == "auto":
        orientation, why = conclude_orientation(raw.rows, raw.columns, raw.layout, report.where)
        report.say("orientation", orientation, why)
    else:
        report.say("orientation", orientation, "as given")
        try:
            found, why = conclude_orientation(raw.rows, raw.columns, None, report.where)
        except ValueError:  # it does not tell, which is why the user does
            found = orientation
        if found != orientation:
            report.warn(
                f"orientation={orientation!r} is taken as given, but the names say {found!r}: "
                f"{why}."
            )
    raw.row_notes.index, raw.column_notes.index = raw.rows, raw.columns
    if orientation == GENES_IN_ROWS:
        return raw.values.T, raw.column_notes, raw.row_notes
    return raw.values, raw.row_notes, raw.column_notes


def _name_genes(values, var, gene_ids: str, report: _Report):
    """Return values and annotations of what are genes, under names without versions."""
    names = [str(name).strip() for name in var.index]
    left_out = [name in _NAMELESS or name in _TALLIES or name.startswith("__") for name in names]
    if all(left_out):
        raise ValueError(f"{report.where}: none of the {len(names):,} genes has a name.")
    if any(left_out):
        kept = ~np.array(left_out)
        gone = [name or "without a name" for name, out in zip(names, left_out, strict=True) if out]
        values, var = values[:, kept], var[kept]
        names = [name for name, out in zip(names, left_out, strict=True) if not out]
        report.say(
            "left_out", f"{len(gone):,} that are no genes: {some(list(dict.fromkeys(gone)), 8)}"
        )
    given = report.prescribed if gene_ids == "auto" else gene_ids
    if given is None:
        kind, why = conclude_gene_ids(names, report.where)
        _tell_of_unlike(names, "genes", report)
    else:
        kind, why = given, _contradiction(given, names, gene_ids, report)
    if kind.startswith("Ensembl"):
        stripped = list(strip_versions(names))
        n_versions = sum(a != b for a, b in zip(names, stripped, strict=True))
        names, why = stripped, f"{why}; versions stripped from {n_versions:,}"
    report.say("gene_ids", kind, why)
    if dates := dates_among(names):
        report.say("dates", f"{len(dates):,} gene names are dates: {some(dates)}")
        report.warn(
            f"{len(dates):,} gene names are dates ({some(dates)}): a spreadsheet made them of such "
            "as MARCH1 and SEPT2. Take the source's text file."
        )
    var = var.copy()
    var.index = names
    return values, var


def _tell_of_unlike(names, what: str, report: _Report) -> None:
    if unlike := unlike_the_others(names):
        report.say(f"unlike_{what}", some(unlike, 8))
        report.warn(
            f"{len(unlike):,} of {len(names):,} {what} are named unlike the others "
            f"({some(unlike, 8)}): are they labels or statistics? Take them out."
        )


def _contradiction(given: str, names, gene_ids: str, report: _Report) -> str:
    """Return where a kind comes from; warn if the names look like another."""
    if gene_ids == "auto":
        return "as the format prescribes"
    try:
        found, why = conclude_gene_ids(names, report.where)
    except ValueError:
        return "as given"
    if found not in (given, "unknown"):
        report.warn(
            f"gene_ids={given!r} is taken as given, but the names look like {found}: {why}."
        )
    return "as given"


def _conclude_unit(found: Values, unit: str, report: _Report) -> None:
    concluded, why = conclude_unit(found)
    if unit == "auto":
        report.say("unit", concluded, why)
        return
    report.say("unit", unit, f"as given; {why}")
    scales = {UNITS[unit][0], UNITS[concluded][0]} - {""}
    if len(scales) > 1 or (unit == "counts" and not found.integers):
        report.warn(
            f"unit={unit!r} is taken as given, but the values look like {concluded}: {why}."
        )


def _tell_of_zeros(found: Values, samples, report: _Report) -> None:
    n_genes = int(found.empty_genes.sum())
    report.say(
        "zeros",
        f"{found.n_zeros / max(found.n_finite, 1):.1%} of the values, "
        f"{n_genes:,} genes in all samples",
    )
    empty = samples[found.empty_samples]
    if len(empty):
        report.say("empty_samples", f"{len(empty):,} are zero in all genes: {some(empty)}")
        report.warn(
            f"{len(empty):,} of {len(samples):,} samples are zero in all genes ({some(empty)}). "
            "Drop them: they have no profile."
        )


def _tell_of_missing(found: Values, samples, genes, report: _Report) -> None:
    n = found.n_missing + found.n_infinite
    if not n or found.first_missing is None:
        report.say("missing", "none")
        return
    row, column = found.first_missing
    told = (
        f"{n:,} of {found.shape[0] * found.shape[1]:,} values are not finite ({found.n_missing:,} "
        f"missing, {found.n_infinite:,} infinite); the first is of sample {samples[row]!r}, gene "
        f"{genes[column]!r}"
    )
    report.say("missing", f"{told}; kept")
    report.warn(f"{told}. They are kept; the estimators need them imputed or dropped.")
