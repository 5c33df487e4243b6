"""The embedded TCGA breast cancer set."""

from importlib.resources import as_file, files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_PACKAGE = "sslgex.datasets"
_DATA = "tcga_brca.npz"
_DESCR = "tcga_brca.rst"


def load_tcga_brca(*, return_X_y: bool = False, as_frame: bool = False) -> Bunch | tuple[Any, Any]:
    """Load breast cancer expression profiles with their PAM50 subtype (classification).

    The data are part of the package: nothing is downloaded.

    =================   ==============
    Classes                          5
    Samples per class     34 up to 419
    Samples total                  769
    Genes                        3,000
    Values               log2 RSEM
    =================   ==============

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame (index: sample ids, columns: genes) and `target` a
        pandas Series, and `frame` is filled.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray or DataFrame of shape (769, 3000), float32
            log2 of normalised RSEM, rounded to a multiple of 1/256. Genes not detected in a
            sample are 0, which is not the smallest value: see `DESCR`.
        target : ndarray of shape (769,), str, or Series
            Names of the subtypes, as they are; scikit-learn's classifiers take them directly.
        frame : DataFrame of shape (769, 3001) or None
            `data` and a last column ``"target"``. Only with ``as_frame=True``.
        feature_names : ndarray of shape (3000,), str
            Gene symbols, in alphabetical order.
        target_names : ndarray of shape (5,), str
            The subtypes in the order of a classifier's ``classes_``.
        sample_ids, patient_ids : ndarray of shape (769,), str
            TCGA barcodes. There is one row per patient and the source names it by the patient, so
            the two are equal.
        averaged_with_normal : ndarray of shape (769,), bool
            The 91 rows that are the mean of the tumour and of normal tissue of the same patient,
            made so by the source. Leave them out where that matters.
        DESCR : str
            Provenance, licence, processing and cautions. Read it before you publish a number.
        filename : str
            Name of the file with the data, in the package `data_module`.
        data_module : str
            Package the file belongs to.

    (data, target) : tuple if ``return_X_y`` is True
        The first two attributes above.

    Raises
    ------
    ImportError
        With ``as_frame=True``, if pandas is not installed.

    See Also
    --------
    make_expression : Simulated counts, of any size and difficulty.

    Notes
    -----
    The source chose its genes with the help of the labels, over all the rows, so that scores on
    these data flatter every method. Compare methods on it; do not report its accuracy as that of
    breast cancer subtyping.

    Examples
    --------
    >>> from sslgex.datasets import load_tcga_brca
    >>> brca = load_tcga_brca()
    >>> brca.data.shape
    (769, 3000)
    >>> [str(name) for name in brca.target_names]
    ['Basal', 'Her2', 'LumA', 'LumB', 'Normal-like']

    Only the rows that are a tumour alone:

    >>> tumour = ~brca.averaged_with_normal
    >>> brca.data[tumour].shape
    (678, 3000)
    """
    with (
        as_file(files(_PACKAGE) / "data" / _DATA) as path,
        np.load(path, allow_pickle=False) as stored,
    ):
        # The step is a power of two: the product is exact.
        data = stored["values"] * stored["step"].astype(np.float32)
        target_names = stored["subtype_names"]
        target = target_names[stored["subtype"]]
        feature_names = stored["genes"]
        patients = stored["patients"]
        averaged = stored["averaged_with_normal"]

    frame = None
    if as_frame:
        frame, data, target = _to_frame(data, target, feature_names, patients)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=feature_names,
        target_names=target_names,
        sample_ids=patients,
        patient_ids=patients.copy(),
        averaged_with_normal=averaged,
        DESCR=(files(_PACKAGE) / "descr" / _DESCR).read_text(encoding="utf-8"),
        filename=_DATA,
        data_module=f"{_PACKAGE}.data",
    )


def _to_frame(data, target, feature_names, sample_ids):
    """Return the frame of data and target together, and each of them alone."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "load_tcga_brca with as_frame=True requires pandas. "
            'Install it with: pip install "sslgex[pandas]"'
        ) from error
    index = pd.Index(sample_ids, name="sample_id")
    X = pd.DataFrame(data, index=index, columns=feature_names)
    y = pd.Series(target, index=index, name="target")
    return pd.concat([X, y], axis=1), X, y
