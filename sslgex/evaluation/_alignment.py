"""Where embeddings lie on the sphere: near their corrupted selves, and apart from each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np

from .._training.warning import warn_user
from ._corrupted import check_rate, corrupted
from ._held_out import View, check_embeds, collect, embed, look, mean_and_range, samples_of, table
from ._results import require_pandas
from ._sweep import seed_of

BLOCK = 512  # samples whose distances to all others are held at a time


class Sphere(NamedTuple):
    """Where the embeddings of some samples lie."""

    n_samples: int
    alignment: np.ndarray
    uniformity: float
    class_alignment: float
    n_zero: np.ndarray


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class AlignmentUniformity:
    """Alignment and uniformity of embeddings of held-out samples; lower is better for both.

    Attributes
    ----------
    entries : list of str
        Names of the estimators, in the order given.
    corruption_rate : float
        As given.
    n_samples : ndarray of shape (n_splits,), int
        Held-out samples of every split; one split, of all samples, if all came fitted.
    alignment : dict of str to ndarray of shape (n_splits, n_repeats)
        Mean squared distance of a sample to its corrupted self, from 0 to 4.
    uniformity : dict of str to ndarray of shape (n_splits,)
        Log of the mean Gaussian potential of different samples, from -8 to 0; NaN without any
        pair of different samples.
    class_alignment : dict of str to ndarray of shape (n_splits,)
        Mean squared distance of different samples of one class; NaN without labels or such pairs.
    n_zero : dict of str to ndarray of shape (n_splits, n_repeats), int
        Samples left out of `alignment`, as their embedding or that of their corrupted self is
        zero, which has no direction.
    """

    entries: list[str]
    corruption_rate: float
    n_samples: np.ndarray
    alignment: dict[str, np.ndarray]
    uniformity: dict[str, np.ndarray]
    class_alignment: dict[str, np.ndarray]
    n_zero: dict[str, np.ndarray]

    def to_frame(self):
        """Return one row per estimator, split and repeat.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "repeat", "n_samples", "alignment", "uniformity",
            "class_alignment" and "n_zero"; uniformity and class alignment, which need no
            corruption, are the same in all rows of a split.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = require_pandas("to_frame")
        n_splits, n_repeats = self.alignment[self.entries[0]].shape
        index = pd.MultiIndex.from_product(
            [self.entries, range(n_splits), range(n_repeats)], names=["entry", "split", "repeat"]
        )
        frame = index.to_frame(index=False)
        frame["n_samples"] = self.n_samples[frame["split"]]
        for column in ("alignment", "uniformity", "class_alignment", "n_zero"):
            found = [getattr(self, column)[name] for name in self.entries]
            repeats = 1 if found[0].ndim == 2 else n_repeats
            frame[column] = np.repeat(np.concatenate(found).ravel(), repeats)
        return frame

    def __repr__(self) -> str:
        heads = {"alignment": self.alignment, "uniformity": self.uniformity}
        if not all(np.isnan(found).all() for found in self.class_alignment.values()):
            heads["class alignment"] = self.class_alignment
        rows = [["", *heads]]
        notes = []
        for name in self.entries:
            # The range is that of the splits.
            per_split = [found[name].reshape(len(self.n_samples), -1) for found in heads.values()]
            rows.append([name, *(mean_and_range(v.mean(axis=1), ".3f") for v in per_split)])
            zero = self.n_zero[name]
            if zero.any():
                notes.append(
                    f"{name!r}: {zero.sum():,} of {zero.shape[1] * self.n_samples.sum():,} pairs "
                    "of a sample and its corrupted self have an embedding that is zero, and are "
                    "left out."
                )
        head = (
            f"Alignment and uniformity (lower is better): {samples_of(self.n_samples)}, "
            f"{100 * self.corruption_rate:g} % of the genes corrupted"
        )
        return "\n".join([head, *table(rows), *notes])


def alignment_uniformity(
    estimators,
    X,
    y=None,
    *,
    corruption_rate=0.3,
    n_repeats=5,
    X_unlabeled=None,
    groups=None,
    cv=5,
    n_jobs=None,
    random_state=None,
    cache=None,
):
    """Measure whether corruption moves embeddings, and whether different samples lie apart.

    With f(x) the embedding of a held-out sample, brought to unit length [1]_::

        alignment  = mean of ||f(x) - f(x~)||^2              over samples and their corrupted selves
        uniformity = log of mean of exp(-2 ||f(x) - f(x')||^2)   over pairs of different samples

    Lower is better for both, and either is easy without the other: an embedding that is the same
    for all samples is aligned perfectly, a random one is as uniform as can be.

    Parameters
    ----------
    estimators : estimator, dict of str to estimator, or list of (str, estimator)
        Transformers, or classifiers with an embedding: of an `SSLClassifier` that of its encoder
        after fine-tuning, of a Pipeline that ends in a classifier the output of its last
        transformer. Unfitted ones are fitted on the training samples of every split: transformers
        without labels and on `X_unlabeled` too. Fitted ones are used as they are, and should have
        seen none of the samples.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows. All are embedded if all estimators are fitted.
    y : array-like of shape (n_samples,), default=None
        Labels: to fit classifiers, to stratify the splits, and for `class_alignment`, the mean of
        ``||f(x) - f(x')||^2`` over pairs of different samples of one class.
    corruption_rate : float in (0, 1], default=0.3
        Share of the genes of a sample, rounded down, that take the values of random training
        samples (of random samples of `X` if all estimators are fitted), as in SCARF.
    n_repeats : int, default=5
        Corruptions of every sample.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels to fit on; none of those in `X`.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and test samples. Two
        samples of one group are not taken for different ones, and left out of uniformity and
        class alignment.
    cv : int, splitter or iterable of (train, test), default=5
        Splits; the test samples are embedded. A number of folds is shuffled, stratified by `y`,
        and keeps `groups` together.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, of corruption (the same for all estimators), and of every estimator without
        a seed of its own.
    cache : str, path or None, default=None
        Directory that keeps fits and what was found, as in `label_efficiency_curve`. Other
        diagnoses with the same samples, splits and seed find the fits there. Needs an integer
        `random_state`.

    Returns
    -------
    found : AlignmentUniformity
        Per estimator, split and repeat; ``to_frame()`` tabulates it.

    Warns
    -----
    UserWarning
        If a split has no pair of different samples: all its test samples are of one group.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable, an estimator has no embedding, or an embedding is not finite.

    See Also
    --------
    sslgex.plotting.AlignmentUniformityDisplay : The picture.
    embedding_spectrum : How many directions embeddings vary in.

    Notes
    -----
    As in the definition, embeddings are not centred. An offset that all of them have in common
    turns all directions alike: the larger it is, the nearer both numbers are to 0, which flatters
    alignment and is held against uniformity. To see embeddings without it, which is the fairer
    comparison of methods that centre and others that do not, centre them on the training samples:
    ``make_pipeline(encoder, StandardScaler(with_std=False))``.

    An embedding of zeros has no direction. It is left out of all pairs, and counted in `n_zero`.

    References
    ----------
    .. [1] Wang, Isola (2020). Understanding contrastive representation learning through alignment
       and uniformity on the hypersphere. ICML.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sslgex import ScarfTransformer
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import alignment_uniformity
    >>> X, y = make_expression(n_samples=100, n_genes=30, return_X_y=True, random_state=0)
    >>> entries = {"SCARF": ScarfTransformer((8,), max_epochs=3), "PCA": PCA(5)}
    >>> found = alignment_uniformity(entries, X, y, cv=2, random_state=0)
    >>> found.alignment["SCARF"].shape
    (2, 5)
    """
    rate = check_rate("corruption_rate", corruption_rate, *np.shape(X)[1:2])
    if isinstance(n_repeats, bool) or not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive integer, got {n_repeats!r}.")
    found = look(
        measure_sphere,
        estimators,
        X,
        y,
        X_unlabeled=X_unlabeled,
        groups=groups,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        cache=cache,
        check=check_embeds,
        rate=rate,
        n_repeats=int(n_repeats),
    )
    uniformity = collect(found, "uniformity")
    for name, values in uniformity.items():
        if np.isnan(values).any():
            warn_user(
                f"{name!r}: uniformity is NaN in {np.isnan(values).sum()} of {len(values)} splits, "
                "whose test samples have no pair of different ones: all are of one group, or their "
                "embeddings are zero. Choose a cv whose splits test several groups, or groups=None."
            )
    return AlignmentUniformity(
        entries=list(found),
        corruption_rate=rate,
        n_samples=next(iter(collect(found, "n_samples").values())),
        alignment=collect(found, "alignment"),
        uniformity=uniformity,
        class_alignment=collect(found, "class_alignment"),
        n_zero=collect(found, "n_zero"),
    )


def measure_sphere(fitted, view: View, rate: float, n_repeats: int) -> Sphere:
    """Return where the embeddings of held-out samples and of their corrupted selves lie."""
    clean, has_direction = _to_unit_length(embed(fitted, view.X))
    alignment = np.full(n_repeats, np.nan)
    n_zero = np.zeros(n_repeats, dtype=int)
    for repeat in range(n_repeats):
        X = corrupted(view.X, view.donors, rate, seed_of(view.seed, repeat))
        other, other_has = _to_unit_length(embed(fitted, X))
        both = has_direction & other_has
        n_zero[repeat] = np.sum(~both)
        if both.any():
            alignment[repeat] = np.square(clean[both] - other[both]).sum(axis=1).mean()
    n = len(clean)
    groups = np.arange(n) if view.groups is None else view.groups
    y = np.arange(n) if view.y is None else view.y
    f, groups, y = clean[has_direction], groups[has_direction], y[has_direction]
    potential = distance = n_pairs = n_alike = 0.0
    for squared, different, alike in _pairs(f, groups, y):
        potential += np.exp(-2 * squared[different]).sum()
        distance += squared[alike].sum()
        n_pairs += different.sum()
        n_alike += alike.sum()
    return Sphere(
        n_samples=n,
        alignment=alignment,
        uniformity=float(np.log(potential / n_pairs)) if n_pairs else np.nan,
        class_alignment=float(distance / n_alike) if n_alike else np.nan,
        n_zero=n_zero,
    )


def _to_unit_length(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings at unit length, and which of them have a direction."""
    length = np.linalg.norm(Z, axis=1)
    return Z / np.where(length > 0, length, 1.0)[:, None], length > 0


def _pairs(f, groups, y) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield squared distances, which are of different samples, and which of these of one class."""
    for start in range(0, len(f), BLOCK):
        here, after = slice(start, start + BLOCK), slice(start, None)
        squared = np.maximum(2 - 2 * f[here] @ f[after].T, 0)
        once = np.triu(np.ones(squared.shape, dtype=bool), 1)
        different = once & (groups[here, None] != groups[None, after])
        yield squared, different, different & (y[here, None] == y[None, after])
