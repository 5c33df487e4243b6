"""Which column of a matrix is which gene of a list, and what to say where that goes wrong."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._genes import shares_of_kinds, strip_version

PLURAL = {
    "Ensembl gene": "Ensembl gene ids",
    "Ensembl transcript": "Ensembl transcript ids",
    "Entrez": "Entrez ids",
    "other": "names of no known kind",
    "probe": "probe ids",
    "sample": "sample names",
    "symbol": "symbols",
}
MIXED = 0.1  # a second kind of identifiers in this share of the genes is no accident


@dataclass(frozen=True)
class Alignment:
    """How the columns of a matrix compare with a list of genes.

    Attributes
    ----------
    missing : ndarray of str
        Genes of the list that no column has.
    unknown : ndarray of str
        Columns that are none of the genes; they are left out.
    duplicated : ndarray of str
        Genes that several columns have; those are merged.
    n_genes, n_columns : int
        Length of the list, and number of columns.
    """

    missing: np.ndarray
    unknown: np.ndarray
    duplicated: np.ndarray
    n_genes: int
    n_columns: int

    @property
    def share_missing(self) -> float:
        """Return the share of the genes that no column has."""
        return len(self.missing) / self.n_genes

    def __str__(self) -> str:
        """Return the numbers, and the first names behind them."""
        return "\n".join(
            [
                f"{self.n_genes:,} genes, {self.n_columns:,} columns of X",
                f"missing: {len(self.missing):,}{_first(self.missing)}",
                f"unknown: {len(self.unknown):,}{_first(self.unknown)}",
                f"duplicated: {len(self.duplicated):,}{_first(self.duplicated)}",
            ]
        )


class Matching:
    """Columns matched with genes by name, Ensembl ids whatever their version.

    Parameters
    ----------
    columns, genes : ndarray of str
        Names of the columns of a matrix, and of the genes wanted.
    """

    def __init__(self, columns: np.ndarray, genes: np.ndarray):
        self.columns, self.genes = columns, genes
        # A name as it is comes before one without its version, and a gene before later ones.
        where = {strip_version(gene): j for j, gene in reversed(list(enumerate(genes)))}
        where |= {gene: j for j, gene in enumerate(genes)}
        found = [where.get(name, where.get(strip_version(name), -1)) for name in columns]
        self.gene_of = np.array(found, dtype=np.intp)
        order = np.flatnonzero(self.gene_of >= 0)
        have, first, counts = np.unique(self.gene_of[order], return_index=True, return_counts=True)
        self.source = np.full(len(genes), -1)
        self.source[have] = order[first]
        self.merged = {j: np.flatnonzero(self.gene_of == j) for j in have[counts > 1]}

    def alignment(self) -> Alignment:
        """Return the lists a user may want to see."""
        return Alignment(
            missing=self.genes[self.source < 0],
            unknown=self.columns[self.gene_of < 0],
            duplicated=self.genes[list(self.merged)],
            n_genes=len(self.genes),
            n_columns=len(self.columns),
        )

    def align(self, block: np.ndarray, duplicates: str, fill_values: np.ndarray) -> np.ndarray:
        """Return rows over the columns as rows over the genes."""
        out = block.take(self.source, axis=1)
        for j, columns in self.merged.items():
            out[:, j] = _merge(block[:, columns], duplicates)
        missing = self.source < 0
        out[:, missing] = fill_values[missing]
        return out

    def likely_cause(self, row_names: np.ndarray | None) -> str:
        """Say why genes may be missing, "" if nothing stands out."""
        n_found = int((self.source >= 0).sum())
        kinds, wanted = shares_of_kinds(self.columns), shares_of_kinds(self.genes)
        if row_names is not None:
            n_rows = int((Matching(row_names, self.genes).source >= 0).sum())
            if n_rows > n_found:
                return (
                    f" {n_rows:,} of the genes are names of rows of X: X must be samples x genes, "
                    "so transpose it (X.T)."
                )
        if looks_transposed(self.columns) and not looks_transposed(self.genes):
            return " The columns of X look like samples: X must be samples x genes, transpose it."
        if sum(abs(kinds.get(k, 0) - wanted.get(k, 0)) for k in PLURAL) / 2 >= MIXED:
            return (
                f" X's genes look like {_spell(kinds)}, the reference's like {_spell(wanted)}: "
                "translate the names of X first."
            )
        lower = {name.lower() for name in self.columns}
        n_lower = sum(gene.lower() in lower for gene in self.genes) - n_found
        if n_lower > n_found:
            return (
                f" {n_lower:,} of them are in X in other letters, upper or lower case: are these "
                "the symbols of another species?"
            )
        return ""


def unique_genes(names: np.ndarray) -> np.ndarray:
    """Return the names, of those that mean the same gene only the first."""
    genes: dict[str, str] = {}
    for name in names:
        genes.setdefault(strip_version(name), name)
    return np.array(list(genes.values()), dtype=object)


def looks_transposed(names: np.ndarray) -> bool:
    """Tell whether most of the names are those of samples."""
    return shares_of_kinds(names).get("sample", 0) > 0.5


def mixed_kinds(names: np.ndarray) -> str | None:
    """Return in words which kinds of identifiers are mixed, None if they are not."""
    shares = {k: share for k, share in shares_of_kinds(names).items() if k != "other"}
    return _spell(shares) if sum(share >= MIXED for share in shares.values()) > 1 else None


def first_names(names: Sequence | np.ndarray) -> str:
    """Return the first three names for a message."""
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")


def _first(names: np.ndarray) -> str:
    return f" ({first_names(names)})" if len(names) else ""


def _spell(shares: dict[str, float]) -> str:
    """Return the kinds that matter with their shares."""
    return " and ".join(f"{PLURAL[k]} ({s:.0%})" for k, s in shares.items() if s >= MIXED)


def _merge(values: np.ndarray, duplicates: str) -> np.ndarray:
    """Return one value per row of columns that have the same gene."""
    if duplicates == "first":
        return values[:, 0]
    # Column by column: numpy's own sum over a row adds in an order that depends on the layout.
    total = functools.reduce(np.maximum if duplicates == "max" else np.add, values.T)
    return total / values.shape[1] if duplicates == "mean" else total
