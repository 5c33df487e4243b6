"""An ARCHS4 file: names of genes, metadata of samples and counts, whatever the file's version."""

import os

import numpy as np

# Where the versions keep the names of the genes, the newest first.
_GENES = {
    "symbol": ("meta/genes/symbol", "meta/genes/gene_symbol", "meta/genes/genes", "meta/genes"),
    "ensembl": ("meta/genes/ensembl_gene", "meta/genes/ensembl_gene_id", "meta/genes/ensembl_id"),
}
# Likewise a field of the samples: version 2 has a group for them, version 1 a prefix.
_SAMPLES = ("meta/samples/", "meta/Sample_")
# How much is read at once, in bytes.
_BLOCK = 256 * 2**20


class ARCHS4File:
    """A gene-level file of ARCHS4, open for reading; a context manager.

    Version 2 files hold genes x samples, the first ones samples x genes: which of the two is told
    by the lengths of the names.

    Parameters
    ----------
    path : str or path-like
        The HDF5 file.

    Attributes
    ----------
    path : str
    dtype : numpy.dtype
        Of the counts; uint32 in files of version 2.
    n_samples, n_genes : int
    gene_kinds : list of {"symbol", "ensembl"}
        Which names the genes have.

    Raises
    ------
    ImportError
        If h5py is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not HDF5, cut, not of ARCHS4 or not at gene level.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self._file = _open(self.path)
        try:
            self._find_parts()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._file.close()

    def _find_parts(self):
        """Find the matrix and what names its rows and columns."""
        if "meta/transcripts" in self._file:
            raise ValueError(
                f"{self.path} is a transcript-level file of ARCHS4. Take the gene-level one."
            )
        counts = self._dataset("data/expression", 2)
        if counts is not None and counts.dtype.kind not in "biuf":
            counts = None
        accessions = self._sample_field("geo_accession")
        self.gene_kinds = [kind for kind in _GENES if self._gene_field(kind) is not None]
        genes = self._gene_field(self.gene_kinds[0]) if self.gene_kinds else None
        if counts is None or accessions is None or genes is None:
            parts = {
                "data/expression": counts,
                "meta/samples/geo_accession": accessions,
                "meta/genes/symbol": genes,
            }
            missing = ", ".join(name for name, part in parts.items() if part is None)
            raise ValueError(
                f"{self.path} is not a gene-level file of ARCHS4: it lacks {missing}. "
                f"It holds {sorted(self._file)}."
            )
        self.n_samples, self.n_genes = len(accessions), len(genes)
        if counts.shape == (self.n_genes, self.n_samples):
            self._samples_first = False
        elif counts.shape == (self.n_samples, self.n_genes):
            self._samples_first = True
        else:
            raise ValueError(
                f"{self.path} contradicts itself: data/expression has shape {counts.shape}, but "
                f"there are {self.n_genes:,} genes and {self.n_samples:,} samples. "
                "Download it again."
            )
        self._counts = counts
        self.dtype = counts.dtype

    def _dataset(self, name: str, n_dims: int = 1):
        """Return the dataset of that name and number of dimensions, None if there is none."""
        found = self._file.get(name)
        if not hasattr(found, "dtype"):  # a group has none
            return None
        return found if len(found.shape or ()) == n_dims else None

    def _sample_field(self, field: str):
        """Return the dataset of a field of the samples, None if there is none."""
        found = (self._dataset(prefix + field) for prefix in _SAMPLES)
        return next((dataset for dataset in found if dataset is not None), None)

    def _gene_field(self, kind: str):
        """Return the dataset of the genes' names of a kind, None if there is none."""
        found = (self._dataset(name) for name in _GENES[kind])
        return next((dataset for dataset in found if dataset is not None), None)

    def fields(self) -> list[str]:
        """Return the names of the fields that `metadata` reads, as version 2 has them."""
        names = [f"meta/{name}" for name in self._file["meta"]]
        names += [f"meta/samples/{name}" for name in self._file.get("meta/samples", ())]
        return sorted(
            name.removeprefix(prefix)
            for name in names
            for prefix in _SAMPLES
            if name.startswith(prefix)
        )

    def genes(self, kind: str = "symbol") -> np.ndarray:
        """Return the names of the genes, as the file has them.

        Parameters
        ----------
        kind : {"symbol", "ensembl"}, default="symbol"

        Returns
        -------
        names : ndarray of shape (n_genes,), str of dtype object
            Symbols may occur several times.

        Raises
        ------
        ValueError
            If the file has no such names.
        """
        dataset = self._gene_field(kind)
        if dataset is None:
            raise ValueError(
                f"{self.path} has no gene names of kind {kind!r}; it has {self.gene_kinds}."
            )
        if len(dataset) != self.n_genes:
            raise ValueError(
                f"{self.path} contradicts itself: it has {len(dataset):,} names of kind {kind!r} "
                f"of {self.n_genes:,} genes. Download it again."
            )
        return self._strings(dataset)

    def metadata(self, field: str) -> np.ndarray:
        """Return a field of all samples.

        Parameters
        ----------
        field : str
            As version 2 names it: ``"geo_accession"``, ``"series_id"``, ``"title"``,
            ``"source_name_ch1"``, ``"characteristics_ch1"``, ``"singlecellprobability"``, ...

        Returns
        -------
        values : ndarray of shape (n_samples,)
            Text as str of dtype object, numbers as they are. Several entries of one sample have
            commas between them, also in files of version 1, which write "Xx-xX".

        Raises
        ------
        ValueError
            If the file has no such field.
        """
        dataset = self._sample_field(field)
        if dataset is None:
            raise ValueError(
                f"{self.path} has no field {field!r} of its samples; it has {self.fields()}."
            )
        if dataset.shape != (self.n_samples,):
            raise ValueError(
                f"{self.path}: the field {field!r} has shape {dataset.shape}, but there are "
                f"{self.n_samples:,} samples. Download it again."
            )
        if dataset.dtype.kind in "biuf":
            return dataset[:]
        joined = [text.replace("Xx-xX", ",") for text in self._strings(dataset)]
        return np.array(joined, dtype=object)

    def _strings(self, dataset) -> np.ndarray:
        """Return bytes or str of any HDF5 kind as str."""
        values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in dataset[:]]
        return np.array([str(value) for value in values], dtype=object)

    def counts(self, samples=None) -> np.ndarray:
        """Return the counts of some samples.

        Every chunk of the file is read and decompressed once, in the order of the file, whatever
        the order of `samples`. Beside the result about 256 MB are needed, or one chunk if that is
        larger.

        Parameters
        ----------
        samples : array-like of int of shape (n_wanted,), default=None
            Which samples, as positions in the file, in any order; all by default.

        Returns
        -------
        counts : ndarray of shape (n_wanted, n_genes)
            In the order of `samples` and in the file's own dtype.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        samples = np.arange(self.n_samples) if samples is None else np.asarray(samples, dtype=int)
        if len(samples) and not 0 <= samples.min() <= samples.max() < self.n_samples:
            raise ValueError(
                f"Samples are 0 to {self.n_samples - 1:,}, got {samples.min()} to {samples.max()}."
            )
        counts = np.empty((len(samples), self.n_genes), dtype=self.dtype)
        order = np.argsort(samples, kind="stable")
        wide, high = self._block()
        bounds = np.flatnonzero(np.diff(samples[order] // wide)) + 1
        for rows in np.split(order, bounds) if len(order) else ():
            first, last = int(samples[rows[0]]), int(samples[rows[-1]]) + 1
            for start in range(0, self.n_genes, high):
                stop = min(start + high, self.n_genes)
                block = self._read(slice(first, last), slice(start, stop))
                counts[rows, start:stop] = block[samples[rows] - first]
        return counts

    def _block(self) -> tuple[int, int]:
        """Return of how many samples and genes a block is, in whole chunks of the file."""
        chunk = self._counts.chunks or (1, 1)
        wide, high = chunk if self._samples_first else chunk[::-1]
        fitting = _BLOCK // (self.dtype.itemsize * wide * high)  # chunks
        tall = max(1, min(fitting, -(-self.n_genes // high)))
        if not self._counts.chunks:
            # A file that is not chunked is read in strips along its inner axis.
            return (max(1, fitting // tall), high * tall)
        return wide, high * tall

    def _read(self, samples: slice, genes: slice) -> np.ndarray:
        """Return a block of samples x genes."""
        try:
            if self._samples_first:
                return self._counts[samples, genes]
            return self._counts[genes, samples].T
        except OSError as error:
            raise ValueError(
                f"{self.path} is damaged: the counts of samples {samples.start:,} to "
                f"{samples.stop - 1:,} cannot be read ({error}). Download it again."
            ) from error


def _open(path: str):
    """Open an HDF5 file for reading, or say what is wrong with it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"Reading {path} requires h5py, which comes with anndata. "
            'Install it with: pip install "sslgex[anndata]"'
        ) from error
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path!r}.")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file, as those of ARCHS4 are.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened ({error}). A file that is cut was not downloaded to its "
            "end: download it again."
        ) from error
