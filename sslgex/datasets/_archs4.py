"""The study's ARCHS4 set: samples of known organs, told by what their submitters wrote."""

import re
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from ._archs4_file import ARCHS4File
from ._building import import_anndata, keep_large_classes, print_report, to_anndata
from ._organs import find_organs, keywords_of


def build_archs4(
    path,
    *,
    organs=None,
    min_per_organ=1,
    max_per_organ=None,
    fields=("source_name_ch1", "title", "characteristics_ch1"),
    max_single_cell_probability=0.5,
    random_state=None,
    verbose=1,
):
    """Build a set of tissues from ARCHS4, labelled by keywords in the samples' descriptions.

    Reads a gene-level file such as ``human_gene_v2.2.h5``, which the study took. Nothing is
    downloaded and nothing is normalised: what is learned from data belongs into a pipeline, where
    it sees training samples only.

    Parameters
    ----------
    path : path
        The HDF5 file.
    organs : dict of str to sequence of str, default=None
        The keywords of each organ. A list of names takes those organs of the default, which is
        ours, for the study's is lost: ``sslgex.datasets._organs.ORGANS``.
    min_per_organ : int, default=1
        Organs with fewer samples are left out, before any count is read.
    max_per_organ : int, default=None
        Of organs with more samples so many are drawn at random.
    fields : sequence of str, default=("source_name_ch1", "title", "characteristics_ch1")
        What is searched for keywords.
    max_single_cell_probability : float, default=0.5
        Samples that are single cells with this probability or more, as ARCHS4 predicts it, are
        left out. None keeps them; files of version 1 may have no such prediction.
    random_state : int, RandomState instance or None, default=None
        Determines the draw of `max_per_organ`.
    verbose : int, default=1
        With 1, size, class counts and what was left out are printed. 0 is silent.

    Returns
    -------
    adata : AnnData of shape (n_samples, n_genes)
        ``X`` holds counts in the file's own type, uint32: float32 could not tell all of them.
        ``var_names`` are Ensembl gene ids without version, with ``var["symbol"]`` beside them;
        symbols where the file has no ids. Samples are in the order of the file.

        ``obs``, indexed by GEO accession:

        - ``label``: the organ;
        - ``series``: the GEO series. There may be several, with commas;
        - ``study``: series that share samples have the same. Keep studies together in splits;
        - ``text``: what was searched.

        ``uns``:

        - ``unit``: ``"counts"``;
        - ``class_counts``: samples of each label;
        - ``left_out``: how many samples were left out, and why;
        - ``n_all_zero_genes``: genes without a count in any sample. They are still there.

    Raises
    ------
    ImportError
        If anndata is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, damaged, not of ARCHS4 or lacks a field, if an organ is unknown or has
        no keyword, or if no sample matches.

    See Also
    --------
    build_tcga : The other set of the study.
    paper_split : The study's split.
    common_genes : What two sets have in common.

    Notes
    -----
    Keywords are whole words, in any case: "liver" is found in "Liver_rep2" and "fetal livers" (a
    plural "s" may follow), not in "delivery". Digits are words of their own: "liver2" has "liver",
    and "CD45" does not have "CD4". A keyword of several words is found within one field and between
    commas. Where a keyword is known to mean something else ("bone marrow", "eye color",
    "brain-derived neurotrophic factor") it does not count. A sample that matches two organs
    ("liver metastasis of colon cancer") is left out, and so is one that matches none. Such labels
    are not perfect: look into ``text``.

    Memory: four bytes for a sample's gene, and little more. The study's 53,282 samples of 67,128
    genes take 14.3 GB; `max_per_organ` takes fewer.

    Examples
    --------
    A small file of the layout of ARCHS4:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import h5py
    >>> from sslgex.datasets import build_archs4
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "human_gene.h5")
    ...     with h5py.File(path, "w") as file:
    ...         file["data/expression"] = [[5, 0, 7], [0, 2, 9]]
    ...         file["meta/genes/symbol"] = ["TP53", "BRCA1"]
    ...         file["meta/samples/geo_accession"] = ["GSM1", "GSM2", "GSM3"]
    ...         file["meta/samples/series_id"] = ["GSE1", "GSE1", "GSE2"]
    ...         file["meta/samples/title"] = ["Liver_1", "colon", "a cell line"]
    ...         file["meta/samples/singlecellprobability"] = [0.1, 0.2, 0.1]
    ...     adata = build_archs4(path, fields=["title"])
    2 samples x 2 genes, of which 0 are zero in all samples.
    Classes: colon 1, liver 1
    Left out: without keyword 1
    >>> adata.obs
          label series study     text
    GSM1  liver   GSE1  GSE1  Liver_1
    GSM2  colon   GSE1  GSE1    colon
    """
    check_scalar(min_per_organ, "min_per_organ", Integral, min_val=1)
    if max_per_organ is not None:
        check_scalar(max_per_organ, "max_per_organ", Integral, min_val=1)
    anndata, pd = import_anndata("build_archs4")
    keywords = keywords_of(organs)
    fields = [fields] if isinstance(fields, str) else list(fields)
    with ARCHS4File(path) as file:
        described = [file.metadata(field) for field in fields]
        text = np.array([" | ".join(parts) for parts in zip(*described, strict=True)], dtype=object)
        label, matches = find_organs(text, keywords)
        single = np.zeros(file.n_samples, dtype=bool)
        if max_single_cell_probability is not None:
            single = _single_cells(file, max_single_cell_probability)
        series = file.metadata("series_id")
        obs = pd.DataFrame(
            {"label": label, "series": series, "study": _studies(series), "text": text},
            index=file.metadata("geo_accession"),
        )
        obs["position"] = np.arange(file.n_samples)
        left_out = {
            "single_cells": int(single.sum()),
            "without_keyword": int((~single & (matches == 0)).sum()),
            "of_several_organs": int((~single & (matches > 1)).sum()),
        }
        labelled = ~single & (matches == 1)
        if not labelled.any():
            raise ValueError(
                f"No sample of one organ is left of {file.n_samples:,}: {left_out}. Searched were "
                f"{fields} for keywords of {list(keywords)}; the first reads {text[:1].tolist()}."
            )
        obs, left_out["in_small_classes"] = keep_large_classes(obs[labelled], min_per_organ)
        obs, left_out["beyond_max_per_organ"] = _draw(obs, max_per_organ, random_state)
        X = file.counts(obs.pop("position").to_numpy())
        names = {kind: file.genes(kind) for kind in file.gene_kinds}
    index = names.get("ensembl")
    if index is None:
        # Symbols may occur again; AnnData's own way to tell them apart.
        index = anndata.utils.make_index_unique(pd.Index(names["symbol"]))
    var = pd.DataFrame({"symbol": names.get("symbol", index)}, index=index)
    adata = to_anndata(anndata, X, obs, var, unit="counts", left_out=left_out)
    if verbose:
        print_report(adata)
    return adata


def _single_cells(file: ARCHS4File, threshold: float) -> np.ndarray:
    """Return which samples are probably single cells."""
    try:
        probability = file.metadata("singlecellprobability")
    except ValueError as error:
        raise ValueError(
            f"{error}\nWithout it single cells cannot be told: max_single_cell_probability=None "
            "keeps all samples."
        ) from None
    return probability.astype(float) >= threshold


def _studies(series: np.ndarray) -> np.ndarray:
    """Return for each sample the first of all series that are tied to its own by a sample."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    split = [re.findall(r"GSE\d+", entry) or [entry] for entry in series]
    for names in split:
        first, *others = sorted({find(name) for name in names})
        leader.update(dict.fromkeys(others, first))
    return np.array([find(names[0]) for names in split], dtype=object)


def _draw(obs, maximum: int | None, random_state):
    """Return at most so many samples of each label, in their order, and how many others."""
    if maximum is None:
        return obs, 0
    rng = check_random_state(random_state)
    drawn = [
        rng.choice(rows, min(maximum, len(rows)), replace=False)
        for _, rows in sorted(obs.groupby("label").indices.items())
    ]
    kept = obs.iloc[np.sort(np.concatenate(drawn))]
    return kept, len(obs) - len(kept)
