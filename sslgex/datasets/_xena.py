"""An expression file of UCSC Xena's GDC hub: its name, its barcodes, its values."""

import contextlib
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from .._genes import kind, strip_versions

# TCGA-BRCA.star_tpm.tsv.gz, also unpacked.
NAME = re.compile(r"(?P<project>[A-Z]+-\w+)\.(?P<unit>(star|htseq)_[\w-]+)\.tsv(\.gz)?")
# Patient, then sample type; vial, portion and aliquot may follow.
_BARCODE = re.compile(r"(TCGA-\w\w-\w{4})-(\d\d)\w*(-.*)?")
# Below the genes STAR and HTSeq say how many reads they could not count.
_SUMMARY = re.compile(r"N_\w+|__\w+")
# Beyond it no value is the logarithm of anything measured.
_LARGEST_LOG = 50
# Genes read at once.
_ROWS = 2000


def parse_name(path: Path) -> re.Match:
    """Return project and unit in a file's name."""
    name = NAME.fullmatch(path.name)
    if name is None:
        raise ValueError(
            f"{path} is not named as the expression files of the GDC hub are, like "
            "TCGA-BRCA.star_tpm.tsv.gz; project and unit are told by the name."
        )
    return name


def header(path: Path) -> list[str]:
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


def read(pd, path: Path, first_column: str, barcodes: list[str]):
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
    unique, counts = np.unique(strip_versions(names), return_counts=True)
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
