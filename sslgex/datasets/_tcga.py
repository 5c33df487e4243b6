"""The study's TCGA set, from local files of UCSC Xena's GDC hub."""

import contextlib
import gzip
import os
import re
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from .._genes import kind
from ._building import import_anndata, keep_large_classes, print_report, to_anndata

NORMAL = "Normal"

# TCGA-BRCA.star_tpm.tsv.gz, also unpacked.
_FILE = re.compile(r"(?P<project>[A-Z]+-\w+)\.(?P<unit>(star|htseq)_[\w-]+)\.tsv(\.gz)?")
# Patient, then sample type; vial, portion and aliquot may follow.
_BARCODE = re.compile(r"(TCGA-\w\w-\w{4})-(\d\d)\w*(-.*)?")
# Below the genes STAR and HTSeq say how many reads they could not count.
_SUMMARY = re.compile(r"N_\w+|__\w+")
# Beyond it no value is the logarithm of anything measured.
_LARGEST_LOG = 50
# Genes read at once.
_ROWS = 2000


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

    The genes are those that all files have. Files of one unit and release have the same.

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
    anndata, pd = import_anndata("build_tcga")
    paths, unit = _find_files(files, unit)
    headers = {project: _header(path) for project, path in paths.items()}
    obs, left_out = _choose_samples(pd, headers, min_samples)
    X = np.empty((0, 0), dtype=np.float32)
    genes, common, others = pd.Index([]), np.empty(0, dtype=bool), set()
    for project, path in paths.items():
        rows = np.flatnonzero(obs["project"] == project)
        if not len(rows):
            continue
        found, blocks, n_summary = _read(pd, path, headers[project][0], list(obs.index[rows]))
        if not X.size:
            genes = pd.Index(found)
            X = np.empty((len(obs), len(genes)), dtype=np.float32)
            common = np.ones(len(genes), dtype=bool)
        columns = genes.get_indexer(found)
        common[np.setdiff1d(np.arange(len(genes)), columns)] = False
        others |= set(found[columns < 0])
        start = 0
        for block in blocks:
            at = columns[start : start + len(block)]
            X[rows[0] : rows[-1] + 1, at[at >= 0]] = block[at >= 0].T
            start += len(block)
        left_out["summary_rows"] += n_summary
        if verbose:
            print(f"{path.name}: {len(rows):,} samples, {len(found):,} genes")
    left_out["genes_not_in_all_files"] = int((~common).sum()) + len(others)
    if not common.any():
        raise ValueError("The files have no gene in common. Are they of one release of the hub?")
    if not common.all():
        X, genes = X[:, common], genes[common]
    var = pd.DataFrame({"ensembl_id": genes}, index=genes)
    adata = to_anndata(anndata, X, obs, var, unit=f"log2({unit} + 1)", left_out=left_out)
    if verbose:
        print_report(adata)
    return adata


def _find_files(files, unit: str | None) -> tuple[dict[str, Path], str]:
    """Return the file of each project, in alphabetical order, and their unit."""
    if isinstance(files, str | os.PathLike):
        folder = Path(files)
        if not folder.exists():
            raise FileNotFoundError(f"There is no file or folder {str(folder)!r}.")
        paths = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        # A folder may hold clinical tables and other units beside them.
        if folder.is_dir():
            paths = [path for path in paths if _FILE.fullmatch(path.name)]
    else:
        paths = [Path(path) for path in files]
    parsed = [(path, _parse_name(path)) for path in paths]
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


def _parse_name(path: Path) -> re.Match:
    """Return project and unit in a file's name."""
    name = _FILE.fullmatch(path.name)
    if name is None:
        raise ValueError(
            f"{path} is not named as the expression files of the GDC hub are, like "
            "TCGA-BRCA.star_tpm.tsv.gz; project and unit are told by the name."
        )
    return name


def _header(path: Path) -> list[str]:
    """Return the first line of a file: the name of the genes' column, then the barcodes."""
    with _saying_which(path), (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        header = [name.strip('"') for name in file.readline().rstrip("\r\n").split("\t")]
    barcodes = header[1:]
    wrong = [name for name in barcodes if not _BARCODE.fullmatch(name)]
    if not barcodes or wrong:
        cure = "Is it a tab-separated matrix of genes x samples?"
        if wrong and kind(wrong[0]) == "Ensembl gene":
            cure = "Its columns are genes: transpose it, as the hub has them, genes in rows."
        first = f", the first {wrong[0]!r}" if wrong else ""
        raise ValueError(
            f"{path}: {len(wrong):,} of {len(barcodes):,} columns are no TCGA barcode like "
            f"TCGA-A7-A0CE-01A{first}. {cure}"
        )
    return header


def _choose_samples(pd, headers: dict[str, list[str]], min_samples: int):
    """Return obs, a row per sample to read, and how many columns are left out and why."""
    left_out = dict.fromkeys(["controls", "duplicates", "in_small_classes", "summary_rows"], 0)
    rows, project_of = [], {}
    for project, header in headers.items():
        for barcode in sorted(header[1:]):
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


def _read(pd, path: Path, first_column: str, barcodes: list[str]):
    """Return the genes, their values as blocks of genes x samples, and how many rows were none."""
    genes, blocks, n_summary = [], [], 0
    with (
        _saying_which(path),
        pd.read_csv(
            path,
            sep="\t",
            index_col=0,
            usecols=[first_column, *barcodes],
            dtype=dict.fromkeys(barcodes, np.float32),
            chunksize=_ROWS,
        ) as reader,
    ):
        for frame in reader:
            names = frame.index.astype(str).to_numpy()
            measured = np.array([not _SUMMARY.fullmatch(name) for name in names], dtype=bool)
            n_summary += int((~measured).sum())
            genes.append(names[measured])
            blocks.append(frame[barcodes].to_numpy()[measured])
            _check_values(blocks[-1], genes[-1], barcodes)
    names = np.concatenate(genes) if genes else np.empty(0, dtype=object)
    _check_genes(path, names)
    return names, blocks, n_summary


def _check_values(block: np.ndarray, genes: np.ndarray, barcodes: list[str]) -> None:
    """Raise unless the values may be log2(x + 1)."""
    wrong = ~((block >= 0) & (block <= _LARGEST_LOG))  # NaN too
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"{genes[i]} of {barcodes[j]} has the value {block[i, j]:g}, but log2(x + 1) is "
            f"between 0 and {_LARGEST_LOG}. Take the hub's file as it is; a missing value may "
            "come of a file that is cut."
        )


def _check_genes(path: Path, names: np.ndarray) -> None:
    """Raise unless the names are those of genes, each once."""
    n_genes = sum(name.startswith("ENSG") for name in names)
    if 2 * n_genes < len(names) or not n_genes:
        first = f" (first: {names[0]!r})" if len(names) else ""
        raise ValueError(
            f"{path}: {n_genes:,} of {len(names):,} rows are Ensembl genes like "
            f"ENSG00000141510.18{first}. It is not an expression file of the GDC hub."
        )
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        raise ValueError(
            f"{path}: gene names must be unique, but {unique[counts > 1][0]!r} occurs "
            f"{counts.max()} times. Download it again."
        )


@contextlib.contextmanager
def _saying_which(path: Path):
    """Let errors of reading say in which file, and that it is cut if it is."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {str(path)!r}.") from None
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path} is cut or damaged ({error}). Download it again.") from error
    except (gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not what its name says ({error}).") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
