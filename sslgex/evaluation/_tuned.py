"""Classifiers that choose their parameters among the labelled samples, as our own finish does."""

import functools
import warnings

import numpy as np
import scipy.sparse as sp
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._doc_link import DocumentationLinkMixin
from .._encoders import seeded_clone
from .._head import LinearHead, class_weights, fit_leading, inner_folds
from .._propagation import neighbours

# A logistic regression's penalty scales its probabilities. What the other classifiers have no
# parameter for, they get by one: their log probabilities are divided by a temperature.
TEMPERATURES = np.array([0.5, 0.7, 1, 1.4, 2, 3, 5, 10, 30, 100, 300, 1000])


class Baseline(DocumentationLinkMixin):
    """A classifier, or a part of one, that `default_baselines` documents."""

    _doc_page = "sslgex.evaluation.default_baselines"


class Tuned(Baseline, ClassifierMixin, BaseEstimator):
    """A classifier with the parameters and the temperature of the best out-of-fold log loss.

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba``.
    param_grid : dict of str to list
        Candidates; the first of each list is taken where no class has two samples.
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        As in `SSLClassifier`: sample weights where the classifier takes them, otherwise factors
        of its probabilities.
    n_folds : int, default=5
        Folds of the inner cross-validation; fewer where no class has as many samples.
    random_state : int, RandomState instance or None, default=None
        Of the folds and the classifier.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    estimator_ : classifier
        Fitted on codes of the labels.
    best_params_ : dict
        What was chosen.
    temperature_ : float
        What its log probabilities are divided by.
    """

    def __init__(self, estimator, param_grid, *, class_weight="sqrt", n_folds=5, random_state=None):
        self.estimator = estimator
        self.param_grid = param_grid
        self.class_weight = class_weight
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X, y):
        """Choose, then fit all samples."""
        return self._fit(X, y, {})

    def predict_proba(self, X):
        """Return the probability of every class."""
        check_is_fitted(self)
        return self._calibrate(self._log_p(self.estimator_, X), self.temperature_)

    def predict(self, X):
        """Return the likeliest class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _fit(self, X, y, more: dict):
        X = X if sp.issparse(X) else np.asarray(X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._weights = class_weights(self.class_weight, self.classes_, y)
        self._n = X.shape[0]
        weight = self._weights[codes]
        folds = inner_folds(codes, self.n_folds, self.random_state)
        best = -np.inf
        self.best_params_ = {name: values[0] for name, values in self.param_grid.items()}
        self.temperature_ = 1.0
        for candidate in ParameterGrid(self.param_grid) if folds else ():
            try:
                judged = [self._judge(candidate, X, codes, weight, fold, more) for fold in folds]
            except ValueError:
                continue  # such as more neighbours than the fold has samples
            scores = np.sum(judged, axis=0)
            if scores.max() > best:
                best = scores.max()
                self.best_params_ = candidate
                self.temperature_ = float(TEMPERATURES[scores.argmax()])
        self.estimator_ = self._train(self.best_params_, X, codes, weight, more)
        return self

    def _judge(self, candidate: dict, X, codes, weight, fold, more: dict) -> np.ndarray:
        """Return the log likelihood of a fold's test samples at every temperature."""
        train, test = fold
        model = self._train(candidate, X[train], codes[train], weight[train], more)
        log_p = self._log_p(model, X[test])
        rows = np.arange(len(test))
        return np.array(
            [
                weight[test] @ np.log(self._calibrate(log_p, t)[rows, codes[test]])
                for t in TEMPERATURES
            ]
        )

    def _train(self, candidate: dict, X, codes, weight, more: dict):
        model = seeded_clone(self.estimator, self.random_state).set_params(**candidate)
        if has_fit_parameter(model, "sample_weight"):
            more = {**more, "sample_weight": weight}
        return model.fit(X, codes, **more)

    def _log_p(self, model, X) -> np.ndarray:
        """Return weighted log probabilities of all classes, -inf for those not learned."""
        X = X if sp.issparse(X) else np.asarray(X)
        log_p = np.full((X.shape[0], len(self.classes_)), -np.inf)
        with np.errstate(divide="ignore"):
            if hasattr(model, "predict_log_proba"):
                log_p[:, model.classes_] = model.predict_log_proba(X)
            else:
                log_p[:, model.classes_] = np.log(model.predict_proba(X))
        if np.isnan(log_p).any() or (log_p == np.inf).any():
            raise ValueError(f"{model!r} returned probabilities that are not finite.")
        if not has_fit_parameter(model, "sample_weight"):
            log_p += np.log(self._weights)
        return log_p

    def _calibrate(self, log_p: np.ndarray, temperature: float) -> np.ndarray:
        # Of n samples nobody learns that something is impossible: a share of 1 in n is spread.
        share = 1 / (self._n + 1)
        p = softmax(log_p / temperature, axis=1)
        return (1 - share) * p + share / p.shape[1]


class TunedWithPool(Tuned):
    """A `Tuned` classifier whose ``fit`` takes unlabelled samples."""

    def fit(self, X, y, X_unlabeled=None):
        """Choose, then fit all samples."""
        pool = np.asarray(X)[:0] if X_unlabeled is None else np.asarray(X_unlabeled)
        return self._fit(X, y, {"X_unlabeled": pool})


class LeadingComponents(Baseline, ClassifierMixin, BaseEstimator):
    """The linear head on the first principal components, as many as predict best out of fold.

    Parameters
    ----------
    n_components : sequence of int, default=(4, 8, 16, 32, 64, 128)
        Candidates.
    fallback : int, default=64
        Number of components where no class has two samples.
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        As in `SSLClassifier`.
    random_state : int, RandomState instance or None, default=None
        Shuffles the inner folds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_components_ : int
        What was chosen.
    head_ : LinearHead
        Fitted on those components.
    """

    def __init__(
        self,
        n_components=(4, 8, 16, 32, 64, 128),
        *,
        fallback=64,
        class_weight="sqrt",
        random_state=None,
    ):
        self.n_components = n_components
        self.fallback = fallback
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X, y):
        """Choose the number of components and the penalty together, then fit all samples."""
        head = LinearHead(self.class_weight, random_state=self.random_state)
        self.n_components_, self.head_ = fit_leading(
            head, np.asarray(X), y, None, counts=self.n_components, fallback=self.fallback
        )
        self.classes_ = self.head_.classes_
        return self

    def predict_proba(self, X):
        """Return the probability of every class."""
        check_is_fitted(self)
        return self.head_.predict_proba(np.asarray(X)[:, : self.n_components_])

    def predict(self, X):
        """Return the likeliest class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Centroids(Baseline, NearestCentroid):
    """Nearest centroid in genes divided by their spread within classes plus its median.

    As Tibshirani et al. (2002) have it, whose shrinkage scikit-learn follows: without the median
    a gene that happens to agree within the classes of few samples outweighs all others, and one
    sample per class, which has no spread, gives NaN. There the spread is 1.
    """

    within_class_std_dev_: np.ndarray

    def fit(self, X, y):
        """Fit centroids and spreads."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)
            super().fit(X, y)
        spread: np.ndarray = np.nan_to_num(self.within_class_std_dev_)
        spread += np.median(spread)
        self.within_class_std_dev_ = np.where(spread > 0, spread, 1.0)
        return self


class Spreading(Baseline, ClassifierMixin, BaseEstimator):
    """scikit-learn's `LabelSpreading` over the labelled and the unlabelled samples.

    Parameters
    ----------
    n_components : int, default=64
        Leading columns to use, by their angle.
    n_neighbors : int, default=10
        Neighbours in the graph.
    alpha : float, default=0.9
        Share that a sample takes from its neighbours.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), int
        Codes of the classes.
    graph_ : LabelSpreading
        Fitted.
    """

    def __init__(self, n_components=64, *, n_neighbors=10, alpha=0.9):
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.alpha = alpha

    def fit(self, X, y, X_unlabeled):
        """Spread the labels; codes, none of them -1."""
        Z = self._prepare(np.concatenate([X, X_unlabeled]))
        labels = np.concatenate([y, np.full(len(X_unlabeled), -1)])
        kernel = functools.partial(neighbours, n_neighbors=self.n_neighbors)
        self.graph_ = LabelSpreading(kernel=kernel, alpha=self.alpha, max_iter=100)
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the ranks have settled by then
            self.graph_.fit(Z, labels)
        self.classes_ = self.graph_.classes_
        return self

    def predict_proba(self, X):
        """Return the probability of every class: equal where no label has come near."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            p = self.graph_.predict_proba(self._prepare(np.asarray(X)))
        nowhere = ~np.isfinite(p).all(axis=1) | (p.sum(axis=1) == 0)
        p[nowhere] = 1 / p.shape[1]
        return p

    def predict(self, X):
        """Return the likeliest class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _prepare(self, X):
        return normalize(X[:, : self.n_components])
