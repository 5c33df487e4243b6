"""The linear head: logistic regression that tunes its own penalty."""

import contextlib
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import softmax, xlogy
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits
from torch import nn

from ._training.warning import warn_user

# Inverse penalties to choose from, for centred rows of mean squared norm 1 and mean weight 1.
GRID = np.logspace(-1, 4, 11)
FALLBACK_C = 10.0
# A weaker penalty must raise the mean log likelihood by so much. It rises and falls along the grid;
# after so many steps in vain the rest is not fitted, which saves the slowest fits.
WORTH = 1e-3
STEPS_IN_VAIN = 2
# Log probability of a class that a fold's training part lacks, and the lowest there is.
LACKING = -50.0
ENOUGH = 30  # samples from which on a penalty at the edge of the grid says something


class Head(ClassifierMixin, BaseEstimator):
    """What follows from the linear score of every class, which ``log_odds`` returns."""

    def decision_function(self, X):
        """Return the score of every class; of two classes, the log odds of the second."""
        scores = self.log_odds(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        """Return the probability of every class, (n_samples, n_classes)."""
        return softmax(self.log_odds(X), axis=1)

    def predict(self, X):
        """Return the likeliest class."""
        return self.classes_[self.log_odds(X).argmax(axis=1)]

    def __getstate__(self):
        # Parameters and what was fitted; no labels, nor what was predicted of single samples.
        kept = self.get_params().keys()
        return {k: v for k, v in vars(self).items() if k in kept or k.endswith("_")}


class LinearHead(Head):
    """Multinomial logistic regression whose L2 penalty has the best out-of-fold log loss.

    Parameters
    ----------
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        "balanced" weighs a class by the inverse of its frequency, "sqrt" by the root of that.
    C : float or None, default=None
        Inverse penalty for samples that have mean squared norm 1 when centred; None tunes it.
    n_folds : int, default=5
        Folds of the inner cross-validation; fewer where no class has as many samples.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    coef_ : ndarray of shape (n_classes, n_features)
        Weights, a row per class also for two classes.
    intercept_ : ndarray of shape (n_classes,)
        Intercepts.
    C_ : float
        The inverse penalty chosen, from 0.1 to 10,000 over the mean squared norm of the centred
        samples; 10 over it where no class has two samples, so that there is nothing to choose by.
    log_likelihood_ : float
        Weighted mean out-of-fold log likelihood at `C_`; -inf where there was nothing to choose by.
    penalty_ : float
        What the squared weights cost beside the weighted mean log loss: that loss plus
        ``penalty_ * (coef_ ** 2).sum()`` is what the fit minimises.
    edge : {"weakest", "strongest"} or None
        Whether the penalty chosen is at an edge of what there is to choose from. Not saved.
    folds : list of (ndarray, ndarray)
        Training and test rows of the inner cross-validation; empty where no class has two
        samples. Not saved.
    out_of_fold : ndarray of shape (n_samples, n_classes)
        Log probabilities at `C_` by fits without the sample; NaN for samples in no fold. Not saved.
    """

    def __init__(self, class_weight="sqrt", *, C=None, n_folds=5, random_state=None):
        self.class_weight = class_weight
        self.C = C
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Choose the penalty by cross-validation, then fit all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embedding.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Multiplied with the class weights.

        Returns
        -------
        self : LinearHead
            The fitted head.
        """
        X = np.asarray(X, dtype=np.float64)
        # Rows of squared norm 1 on average, so that one grid of penalties serves genes, principal
        # components and embeddings, in any unit.
        centre = X.mean(axis=0)
        X = X - centre
        size = np.sqrt((X**2).sum() / len(X)) or 1.0
        X /= size
        basis = None
        if X.shape[1] > X.shape[0]:
            # The penalty is blind to rotation: the problem lives in the span of the samples.
            basis, triangle = np.linalg.qr(X.T)
            X = triangle.T
        self.classes_, codes = np.unique(y, return_inverse=True)
        weight = class_weights(self.class_weight, self.classes_, y)[codes]
        if sample_weight is not None:
            weight = weight * sample_weight
        weight = weight / weight.mean()
        # These products are so small that two BLAS threads took ten times as long as one.
        with threadpool_limits(1, user_api="blas"), few_of_many_classes():
            C, self.edge = self.C, None
            if C is None:
                C, self.log_likelihood_, self.out_of_fold = self._tune(X, codes, weight)
            model = LogisticRegression(C=C, tol=1e-6, max_iter=5000).fit(X, codes, weight)
        coef, intercept = model.coef_ / size, model.intercept_
        self.C_ = C / size**2
        self.penalty_ = 1 / (2 * self.C_ * len(X))
        if len(self.classes_) == 2:
            coef = np.concatenate([-coef, coef]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
            self.penalty_ *= 2
        self.coef_ = np.ascontiguousarray(coef if basis is None else coef @ basis.T)
        self.intercept_ = intercept - self.coef_ @ centre
        return self

    def to_layer(self) -> nn.Linear:
        """Return the head as a torch layer."""
        layer = nn.utils.skip_init(nn.Linear, *reversed(self.coef_.shape))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.coef_))
            layer.bias.copy_(torch.from_numpy(self.intercept_))
        return layer

    @classmethod
    def from_layer(cls, layer: nn.Linear, classes: np.ndarray) -> "LinearHead":
        """Return a torch layer as a fitted head; it has neither ``C_`` nor ``penalty_``."""
        head = cls()
        head.classes_ = classes
        head.coef_ = layer.weight.detach().cpu().double().numpy()
        head.intercept_ = layer.bias.detach().cpu().double().numpy()
        return head

    def log_odds(self, X) -> np.ndarray:
        """Return the linear score of every class, (n_samples, n_classes)."""
        check_is_fitted(self)
        return np.asarray(X, dtype=np.float64) @ self.coef_.T + self.intercept_

    def _tune(self, X, codes, weight) -> tuple[float, float, np.ndarray]:
        folds = self.folds = inner_folds(codes, self.n_folds, self.random_state)
        predicted = np.full((len(GRID), len(X), len(self.classes_)), np.nan)
        if not folds:
            return FALLBACK_C, -np.inf, predicted[0]
        models = [LogisticRegression(tol=1e-3, max_iter=2000, warm_start=True) for _ in folds]
        judged = np.concatenate([test for _, test in folds])
        likelihoods: list[float] = []
        best = 0
        for i, (C, log_p) in enumerate(zip(GRID, predicted, strict=True)):
            total = 0.0
            for model, (train, test) in zip(models, folds, strict=True):
                model.set_params(C=C).fit(X[train], codes[train], weight[train])
                log_p[test] = LACKING
                known = np.log(np.maximum(model.predict_proba(X[test]), np.exp(LACKING)))
                log_p[np.ix_(test, model.classes_)] = known
                total += weight[test] @ log_p[test, codes[test]]
            likelihoods.append(total / weight[judged].sum())
            if likelihoods[i] > likelihoods[best] + WORTH:
                best = i
            if i - best >= STEPS_IN_VAIN:
                break
        if best == len(GRID) - 1:
            self.edge = "weakest"
        elif best == 0 and likelihoods[0] < _of_frequencies(codes, weight) + WORTH:
            self.edge = "strongest"
        return float(GRID[best]), likelihoods[best], predicted[best]


def fit_leading(
    head: LinearHead, X: np.ndarray, y, sample_weight, *, counts: Sequence[int], fallback: int
) -> tuple[int, LinearHead]:
    """Fit the head on the first k columns, as many as predict best out of fold.

    Parameters
    ----------
    head : LinearHead
        Unfitted; clones are fitted.
    X : ndarray of shape (n_samples, n_components)
        Principal components, the leading one first.
    y : array-like of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None
        Weights.
    counts : sequence of int
        Candidates for k.
    fallback : int
        The nearest candidate is taken where no class has two samples.

    Returns
    -------
    k : int
        What was chosen.
    head : LinearHead
        Fitted on those columns.
    """
    heads = {
        k: clone(head).fit(X[:, :k], y, sample_weight)
        for k in sorted({min(k, X.shape[1]) for k in counts})
    }
    best = max(heads, key=lambda k: heads[k].log_likelihood_)
    if np.isinf(heads[best].log_likelihood_):
        best = min(heads, key=lambda k: abs(k - fallback))
    return best, heads[best]


def _of_frequencies(codes: np.ndarray, weight: np.ndarray) -> float:
    """Return the mean log likelihood of who knows the frequencies of the classes only."""
    p = np.bincount(codes, weight) / weight.sum()
    return float(xlogy(p, p).sum())


EDGES = {
    "strongest": "samples held out are hardly predicted at all. Are X and y in the same order?",
    "weakest": "samples held out are predicted nearly without error. If the classes are not that "
    "easy to tell apart, see that no sample is in X twice.",
}


def warn_of_edge(heads: list[LinearHead], n_samples: int) -> None:
    """Warn, once for all, if the penalties of all heads are at the same edge of their grid.

    With few samples chance alone may put them there.
    """
    edges = {head.edge for head in heads} if n_samples >= ENOUGH else {None}
    edge = edges.pop()
    if edge and not edges:
        warn_user(
            f"Of the L2 penalties on offer (C from {GRID[0]:g} to {GRID[-1]:,.0f} for samples of "
            f"mean squared norm 1) the {edge} is best out of fold: {EDGES[edge]}",
        )


def inner_folds(codes: np.ndarray, n_folds: int, random_state) -> list:
    """Return stratified (train, test) folds to choose parameters by.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Classes.
    n_folds : int
        Fewer where no class has as many samples.
    random_state : int, RandomState instance or None
        Shuffles them.

    Returns
    -------
    folds : list of (ndarray, ndarray)
        Without test samples of classes that the fold's training part lacks, which say nothing of
        a parameter; empty where no class has two samples.
    """
    n_folds = min(n_folds, int(np.bincount(codes).max()))
    if n_folds < 2:
        return []
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    with few_of_many_classes():
        folds = [
            (train, test[np.isin(codes[test], codes[train])])
            for train, test in splitter.split(codes, codes)
        ]
    return [(a, b) for a, b in folds if len(b) and len(np.unique(codes[a])) > 1]


def with_weight(
    y: np.ndarray, rows: np.ndarray, weight: np.ndarray | None, class_weight
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return those of the labels that have a weight above 0, their rows, and their weights.

    Parameters
    ----------
    y : ndarray of shape (n_labelled,)
        Labels of two or more classes.
    rows : ndarray of shape (n_labelled,), int
        The samples whose labels they are.
    weight : ndarray of shape (n_samples,) or None
        Of all samples.
    class_weight : dict or any other value of that parameter
        A dict may have classes of weight 0.
    """
    weight = None if weight is None else weight[rows]
    kept = np.ones(len(y), dtype=bool) if weight is None else weight > 0
    if isinstance(class_weight, dict):
        classes, codes = np.unique(y, return_inverse=True)
        compute_class_weight(class_weight, classes=classes, y=y)  # raises for unknown classes
        kept &= class_weights(class_weight, classes, y)[codes] > 0
    n_classes = len(np.unique(y[kept]))
    if n_classes < 2:
        raise ValueError(
            f"Of {len(y):,} labelled samples {kept.sum():,} have a weight above 0, class weights "
            f"included. These are of {n_classes} class{'' if n_classes == 1 else 'es'}; two are "
            "needed."
        )
    return y[kept], rows[kept], None if weight is None else weight[kept]


@contextlib.contextmanager
def few_of_many_classes():
    """Silence what scikit-learn says of few samples of many classes: they are what this is for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def class_weights(class_weight, classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weight of every class."""
    if isinstance(class_weight, dict):  # those of weight 0 have been left out with their samples
        class_weight = {c: class_weight[c] for c in classes.tolist() if c in class_weight}
    if class_weight == "sqrt":
        return np.sqrt(compute_class_weight("balanced", classes=classes, y=y))
    weights = compute_class_weight(class_weight, classes=classes, y=y)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"class_weight={class_weight!r} gives the weights {weights.tolist()}; they must be "
            "finite, none negative and not all 0."
        )
    return weights
