"""A simulator of RNA-seq counts whose classes, modules and batches are known."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state, check_scalar

# Spread of the genes' baseline expression (log2 units, standard deviation).
_BASELINE_SPREAD = 2.5
# log2 units a gene changes per unit of its module's activity. A redundant gene alone says little
# about its module and a few dozen say much: what unlabelled rows teach is which genes to pool.
_DRIVER_LOADING = 1.0
_REDUNDANT_LOADING = (0.2, 0.6)

_DESCR = """Simulated RNA-seq counts (make_expression)

{n_samples} samples x {n_genes} genes; classes of {class_sizes} samples; {n_batches} batch(es).
{n_informative} informative genes, each leading a module; {n_redundant} redundant genes that follow
a module; {n_silent} genes without any count; the other genes know nothing of the classes.
counts: negative binomial, dispersion {dispersion:g}. data: log2(CPM + 1).
"""


def make_expression(
    n_samples: int = 200,
    n_genes: int = 1000,
    *,
    n_classes: int = 4,
    n_informative: int = 10,
    n_redundant: int | None = None,
    n_silent: int | None = None,
    class_sep: float = 5.0,
    class_weights: Sequence[float] | None = None,
    n_batches: int = 1,
    batch_effect: float = 0.5,
    dispersion: float = 0.4,
    library_size: float = 1e6,
    library_size_cv: float = 0.4,
    return_X_y: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    r"""Simulate RNA-seq counts with known classes, gene modules, batches and library sizes.

    For tests and teaching. Gene modules carry the classes: every informative gene leads a module,
    which the redundant genes follow, each weakly. Labels of few samples do not tell which genes
    belong together, unlabelled samples do, so that a good representation is worth having.

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples.
    n_genes : int, default=1000
        Number of genes. What the three kinds below leave over is noise: expressed genes, each on
        its own, that know nothing of the classes.
    n_classes : int, default=4
        Number of classes, 2 or more.
    n_informative : int, default=10
        Number of informative genes and of modules, at least `n_classes`. More modules spread the
        same difference between the classes over more directions.
    n_redundant : int, default=None
        Number of redundant genes, dealt out evenly to the modules. A fifth of the genes if None.
    n_silent : int, default=None
        Number of genes without a count in any sample. A twentieth of the genes if None.
    class_sep : float, default=5.0
        Distance between the centres of any two classes in the space of module activities, in
        standard deviations within a class. With 0, classes cannot be told apart.
    class_weights : sequence of float of shape (n_classes,), default=None
        Proportions of the classes; they need not sum to 1. The class sizes are exact, up to
        rounding. Equal if None.
    n_batches : int, default=1
        Number of batches, of equal size up to rounding, drawn independently of the classes.
    batch_effect : float, default=0.5
        Standard deviation over the genes of a batch's shift, in log2 units. No effect with one
        batch.
    dispersion : float, default=0.4
        Dispersion of the negative binomial: a count of mean m has variance
        ``m + dispersion * m ** 2``. 0 gives Poisson counts.
    library_size : float, default=1e6
        Expected total count of a sample; a thousand per gene by default, as in bulk RNA-seq.
    library_size_cv : float, default=0.4
        Coefficient of variation of the (log-normal) library sizes over the samples.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Determines the data. Pass an int for reproducible output. NumPy's global generator is
        used only if None.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_samples, n_genes), float32
            ``log2(CPM + 1)``, where CPM are the counts per million of the sample.
        target : ndarray of shape (n_samples,), int
            Class, 0 to ``n_classes - 1``.
        counts : ndarray of shape (n_samples, n_genes), int
            The counts.
        batch : ndarray of shape (n_samples,), int
            Batch, 0 to ``n_batches - 1``.
        library_size : ndarray of shape (n_samples,), int
            Total count of the sample.
        informative : ndarray of shape (n_genes,), bool
            The leading genes. Redundant genes tell of the classes too, through their module.
        module : ndarray of shape (n_genes,), int
            Module of an informative or redundant gene, -1 for any other.
        activity : ndarray of shape (n_samples, n_informative), float
            The hidden activity of the modules: what a perfect encoder would find.
        feature_names : ndarray of shape (n_genes,), str
            ``"gene000"``, ``"gene001"``, ... The kinds of genes are in random order.
        DESCR : str
            What was simulated.

    (data, target) : tuple if ``return_X_y`` is True
        The first two attributes above.

    Raises
    ------
    TypeError
        If a number is of the wrong type.
    ValueError
        If a number is out of range, if the kinds of genes do not fit into `n_genes`, or if a
        class would get no sample.

    See Also
    --------
    load_tcga_brca : Real expression profiles.

    Notes
    -----
    With activities :math:`a`, centres :math:`c` at equal distances, loadings :math:`w` (1 for an
    informative gene, 0.2 to 0.6 for a redundant one) and baselines :math:`b \sim N(0, 2.5^2)`,

    .. math::

        a_{im} &= c_{y_i m} + \varepsilon_{im}, \quad \varepsilon_{im} \sim N(0, 1) \\
        \log_2 \mu_{ig} &= b_g + w_g a_{i\,m(g)} + s_{g\,batch(i)} \\
        counts_{ig} &\sim NB(L_i \mu_{ig} / \textstyle\sum_h \mu_{ih}, dispersion)

    The same `random_state` gives the same classes, modules and baselines whatever `class_sep`,
    `batch_effect`, `dispersion` and the library sizes are.

    Examples
    --------
    >>> from sslgex.datasets import make_expression
    >>> sim = make_expression(n_samples=100, n_genes=500, n_batches=2, random_state=0)
    >>> sim.data.shape, sim.counts.dtype.kind
    ((100, 500), 'i')
    >>> int(sim.informative.sum()), int((sim.module >= 0).sum())
    (10, 110)
    """
    _check_integer(n_samples, "n_samples", 1)
    _check_integer(n_genes, "n_genes", 1)
    _check_integer(n_classes, "n_classes", 2)
    _check_integer(n_informative, "n_informative", n_classes)
    n_redundant = n_genes // 5 if n_redundant is None else n_redundant
    n_silent = n_genes // 20 if n_silent is None else n_silent
    _check_integer(n_redundant, "n_redundant", 0)
    _check_integer(n_silent, "n_silent", 0)
    _check_integer(n_batches, "n_batches", 1)
    _check_real(class_sep, "class_sep")
    _check_real(batch_effect, "batch_effect")
    _check_real(dispersion, "dispersion")
    _check_real(library_size, "library_size", positive=True)
    _check_real(library_size_cv, "library_size_cv")
    needed = n_informative + n_redundant + n_silent
    if needed > n_genes:
        raise ValueError(
            f"n_informative={n_informative}, n_redundant={n_redundant} and n_silent={n_silent} "
            f"make {needed} genes, but n_genes={n_genes}. Raise n_genes or lower one of them."
        )
    if n_batches > n_samples:
        raise ValueError(f"n_batches={n_batches} exceeds n_samples={n_samples}.")
    sizes = _class_sizes(n_samples, n_classes, class_weights)

    rng = check_random_state(random_state)
    target = rng.permutation(np.repeat(np.arange(n_classes), sizes))
    batch = rng.permutation(np.arange(n_samples) % n_batches)

    # Orthonormal rows are all at the same distance, the square root of 2, from each other.
    centres = np.linalg.qr(rng.standard_normal((n_informative, n_classes)))[0].T
    centres = class_sep / np.sqrt(2) * (centres - centres.mean(axis=0))
    activity = centres[target] + rng.standard_normal((n_samples, n_informative))

    genes = rng.permutation(n_genes)
    drivers, followers = genes[:n_informative], genes[n_informative : n_informative + n_redundant]
    module = np.full(n_genes, -1)
    module[drivers] = np.arange(n_informative)
    module[followers] = np.arange(n_redundant) % n_informative
    loading = np.zeros(n_genes)
    loading[drivers] = _DRIVER_LOADING
    loading[followers] = rng.uniform(*_REDUNDANT_LOADING, size=n_redundant)

    log_mean = _BASELINE_SPREAD * rng.standard_normal(n_genes) + loading * activity[:, module]
    shift = rng.standard_normal((n_batches, n_genes))
    if n_batches > 1:
        log_mean += batch_effect * shift[batch]
    log_mean[:, genes[n_genes - n_silent :]] = -np.inf

    depth = _library_sizes(n_samples, library_size, library_size_cv, rng)
    counts = _negative_binomial(_proportions(log_mean) * depth[:, np.newaxis], dispersion, rng)
    total = counts.sum(axis=1)
    # A sample without any count keeps zeros rather than becoming NaN.
    cpm = counts * (1e6 / np.maximum(total, 1))[:, np.newaxis]
    data = np.log2(cpm + 1).astype(np.float32)

    if return_X_y:
        return data, target
    width = len(str(n_genes - 1))
    return Bunch(
        data=data,
        target=target,
        counts=counts,
        batch=batch,
        library_size=total,
        informative=np.isin(np.arange(n_genes), drivers),
        module=module,
        activity=activity,
        feature_names=np.array([f"gene{g:0{width}d}" for g in range(n_genes)]),
        DESCR=_DESCR.format(
            n_samples=n_samples,
            n_genes=n_genes,
            class_sizes=", ".join(map(str, sizes)),
            n_batches=n_batches,
            n_informative=n_informative,
            n_redundant=n_redundant,
            n_silent=n_silent,
            dispersion=dispersion,
        ),
    )


def _check_integer(value, name, minimum):
    check_scalar(value, name, Integral, min_val=minimum)


def _check_real(value, name, *, positive=False):
    check_scalar(value, name, Real, min_val=0, include_boundaries="neither" if positive else "left")
    if not np.isfinite(value):  # NaN passes every comparison above
        raise ValueError(f"{name}={value} must be finite.")


def _class_sizes(n_samples, n_classes, class_weights):
    """Return the size of every class: the shares, rounded so that they sum to `n_samples`."""
    weights = np.ones(n_classes) if class_weights is None else np.asarray(class_weights, float)
    if weights.shape != (n_classes,):
        raise ValueError(
            f"class_weights has shape {weights.shape}, but n_classes={n_classes} needs "
            f"({n_classes},)."
        )
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError(f"class_weights must be positive and finite, got {class_weights}.")
    bounds = np.rint(np.cumsum(weights) / weights.sum() * n_samples).astype(int)
    sizes = np.diff(bounds, prepend=0)
    if (sizes == 0).any():
        raise ValueError(
            f"Class {int(np.argmin(sizes))} would get none of the n_samples={n_samples} samples. "
            "Raise n_samples or its weight."
        )
    return sizes


def _library_sizes(n_samples, mean, cv, rng):
    """Draw log-normal library sizes of the given mean and coefficient of variation."""
    variance = np.log1p(cv**2)
    return mean * np.exp(np.sqrt(variance) * rng.standard_normal(n_samples) - variance / 2)


def _proportions(log_mean):
    """Return each gene's share of its sample's molecules, from log2 expression."""
    # Relative to the largest, since a power of two may overflow.
    expression = np.exp2(log_mean - log_mean.max(axis=1, keepdims=True))
    return expression / expression.sum(axis=1, keepdims=True)


def _negative_binomial(mean, dispersion, rng):
    """Draw negative binomial counts as Poisson counts of gamma distributed rates."""
    if dispersion > 0:
        mean = mean * rng.gamma(1 / dispersion, dispersion, size=mean.shape)
    return rng.poisson(mean)
