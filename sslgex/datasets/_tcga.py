"""The study's TCGA set, from local files of UCSC Xena's GDC hub."""

import os
from collections import Counter
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import check_scalar

from .._genes import strip_versions
from .._training.warning import warn_user
from ._building import import_anndata, keep_large_classes, print_report, to_anndata
from ._xena import NAME, header, parse_name, read

NORMAL = "Normal"


def build_tcga(files, *, unit=None, min_samples=1, verbose=1):
    r"""Build the TCGA set of the study: cancers and one pooled class of normal tissue.

    Reads the files of UCSC Xena's GDC hub, one per project, such as
    ``TCGA-BRCA.star_tpm.tsv.gz``. Nothing is downloaded and nothing is normalised: what is learned
    from data belongs into a pipeline, where it sees training samples only.

    Parameters
    ----------
    files : path or list of paths
        A folder, of which the expression files are taken, or the files. Their names must be those
        of the hub: they tell project and unit.
    unit : str, default=None
        Which files of a folder to take, ``"star_tpm"``, ``"star_counts"``, ``"htseq_fpkm"``, ...
        Needed only if there are several units.
    min_samples : int, default=1
        Classes with fewer samples are left out, before any value is read.
    verbose : int, default=1
        With 1, a line per file and the class counts are printed. 0 is silent.

    Returns
    -------
    adata : AnnData of shape (n_samples, n_genes)
        ``X`` is float32 and holds log2(value + 1), as the files do. ``var_names`` are Ensembl gene
        ids without version; ``var["ensembl_id"]`` has them as the first file writes them.

        ``obs``, indexed by barcode:

        - ``label``: the cancer (``"BRCA"``), or ``"Normal"`` for sample types 10 to 19;
        - ``project``: ``"TCGA-BRCA"``;
        - ``patient``: the first 12 characters of the barcode. Keep patients together in splits;
        - ``sample_type``: the two digits of the barcode, ``"01"`` a primary tumour.

        ``uns``:

        - ``unit``: ``"log2(star_tpm + 1)"``;
        - ``class_counts``: samples of each label;
        - ``left_out``: how many columns and genes were left out, and why;
        - ``n_all_zero_genes``: genes without a value in any sample. They are still there.

    Raises
    ------
    ImportError
        If anndata is not installed.
    FileNotFoundError
        If a file or folder does not exist, or a folder has no such file.
    ValueError
        If a name, a header, a barcode or a value is not that of such a file, a file is cut, a
        project comes twice, a sample is in two projects, units are mixed, or nothing is left.

    Warns
    -----
    UserWarning
        If more than a tenth of the genes are left out because not all files have them.

    See Also
    --------
    build_archs4 : The other set of the study.
    paper_split : The study's split.
    sslgex.preprocessing.GeneFilter : Drops genes by training samples only.

    Notes
    -----
    Of several vials or aliquots of one sample (the same first 15 characters of the barcode) the
    first barcode in alphabetical order stays. Sample types from 20 on (controls, cell lines,
    xenografts) are left out.

    The genes are those that all files have, whatever their versions. Files of one unit and
    release have the same.

    Memory: four bytes for a sample's gene, and the largest file's values once more. The study had
    9,349 samples (18 cancers and Normal) of 56,902 genes, which is 2.1 GB.

    Examples
    --------
    A file as the hub has them, with a tumour and normal tissue of the same patient:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sslgex.datasets import build_tcga
    >>> text = (
    ...     "Ensembl_ID\tTCGA-A7-A0CE-01A\tTCGA-A7-A0CE-11A\n"
    ...     "ENSG00000141510.18\t4.5\t3.0\n"
    ...     "ENSG00000012048.23\t2.5\t0.0\n"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "TCGA-BRCA.star_tpm.tsv").write_text(text)
    ...     adata = build_tcga(folder, verbose=0)
    >>> adata.obs[["label", "patient"]]
                       label       patient
    TCGA-A7-A0CE-01A    BRCA  TCGA-A7-A0CE
    TCGA-A7-A0CE-11A  Normal  TCGA-A7-A0CE
    >>> adata.X
    array([[4.5, 2.5],
           [3. , 0. ]], dtype=float32)
    """
    check_scalar(min_samples, "min_samples", Integral, min_val=1)
    anndata, pd = import_anndata("build_tcga")
    paths, unit = _find_files(files, unit)
    headers = {project: header(path) for project, path in paths.items()}
    obs, left_out = _choose_samples(pd, headers, min_samples)
    X, genes = _join(pd, paths, headers, obs, left_out, verbose)
    var = pd.DataFrame({"ensembl_id": genes}, index=genes)
    adata = to_anndata(anndata, X, obs, var, unit=f"log2({unit} + 1)", left_out=left_out)
    if verbose:
        print_report(adata)
    return adata


def _find_files(files, unit: str | None) -> tuple[dict[str, Path], str]:
    """Return the file of each project, in alphabetical order, and their unit."""
    if isinstance(files, str | os.PathLike):
        paths = [Path(files)]
        if not paths[0].exists():
            raise FileNotFoundError(f"There is no file or folder {str(paths[0])!r}.")
        if paths[0].is_dir():
            # There may be clinical tables beside them.
            paths = [path for path in sorted(paths[0].iterdir()) if NAME.fullmatch(path.name)]
    else:
        paths = [Path(path) for path in files]
    parsed = [(path, parse_name(path)) for path in paths]
    if unit is not None:
        parsed = [(path, name) for path, name in parsed if name["unit"] == unit]
    if not parsed:
        raise FileNotFoundError(
            f"{files} has no expression file{f' of unit {unit!r}' if unit else ''}. They are named "
            "like TCGA-BRCA.star_tpm.tsv.gz."
        )
    units = Counter(name["unit"] for _, name in parsed)
    if len(units) > 1:
        found = ", ".join(f"{n} of {name}" for name, n in units.items())
        raise ValueError(f"Files of several units must not be mixed: {found}. Name one by `unit`.")
    projects: dict[str, Path] = {}
    for path, name in sorted(parsed, key=lambda pair: pair[1]["project"]):
        if name["project"] in projects:
            raise ValueError(
                f"{name['project']} comes twice: {projects[name['project']]} and {path}. "
                "Give one of them."
            )
        projects[name["project"]] = path
    return projects, next(iter(units))


def _choose_samples(pd, headers: dict[str, list[str]], min_samples: int):
    """Return obs, a row per sample to read, and how many columns are left out and why."""
    left_out = dict.fromkeys(["controls", "duplicates", "in_small_classes", "summary_rows"], 0)
    rows: list[tuple[str, ...]] = []
    project_of: dict[str, str] = {}
    for project, (_, *barcodes) in headers.items():
        for barcode in sorted(barcodes):
            patient, sample_type = barcode[:12], barcode[13:15]
            sample = barcode[:15]
            if project_of.setdefault(sample, project) != project:
                raise ValueError(
                    f"Sample {sample} is in {project_of[sample]} and in {project}. A sample has "
                    "one label: take it out of one file."
                )
            if int(sample_type) >= 20:
                left_out["controls"] += 1
            elif rows and rows[-1][0][:15] == sample:
                left_out["duplicates"] += 1
            else:
                label = NORMAL if int(sample_type) >= 10 else project.removeprefix("TCGA-")
                rows.append((barcode, label, project, patient, sample_type))
    columns = ["barcode", "label", "project", "patient", "sample_type"]
    obs = pd.DataFrame(rows, columns=columns).set_index("barcode").rename_axis(None)
    obs, left_out["in_small_classes"] = keep_large_classes(obs, min_samples)
    return obs, left_out


def _join(pd, paths, headers, obs, left_out, verbose):
    """Return the values of all chosen samples, and the genes of all files as the first has them."""
    paths = {project: path for project, path in paths.items() if (obs["project"] == project).any()}
    for i, (project, path) in enumerate(paths.items()):
        rows = np.flatnonzero(obs["project"] == project)  # one after the other
        found, blocks, n_summary = read(pd, path, headers[project][0], list(obs.index[rows]))
        written, found = found, strip_versions(found)
        if i == 0:
            ids, genes = written, pd.Index(found)
            X = np.empty((len(obs), len(genes)), dtype=np.float32)
            n_files = np.zeros(len(genes), dtype=int)
            others: set[str] = set()
        columns = genes.get_indexer(found)
        known = columns >= 0
        n_files[columns[known]] += 1
        others.update(found[~known])
        start = 0
        for block in blocks:
            part = slice(start, start + len(block))
            X[rows[0] : rows[-1] + 1, columns[part][known[part]]] = block[known[part]].T
            start += len(block)
        left_out["summary_rows"] += n_summary
        if verbose:
            print(f"{path.name}: {len(rows):,} samples, {len(found):,} genes")
    common = n_files == len(paths)
    left_out["genes_not_in_all_files"] = int((~common).sum()) + len(others)
    if not common.any():
        raise ValueError("The files have no gene in common. Are they of one release of the hub?")
    if left_out["genes_not_in_all_files"] > 0.1 * (len(genes) + len(others)):
        warn_user(
            f"{left_out['genes_not_in_all_files']:,} of {len(genes) + len(others):,} genes are "
            "left out, since not all files have them. Take all files of one release of the hub."
        )
    return (X, ids) if common.all() else (X[:, common], ids[common])
