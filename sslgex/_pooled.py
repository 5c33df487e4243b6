"""The pooled head: linear experts on genes, components, embedding and neighbours, as one."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._head import Head, LinearHead, class_weights, fit_leading, inner_folds
from ._linear_path import Features
from ._propagation import Neighbourhoods
from ._unfrozen import Start

# How many samples' worth of trust each expert has before any score is known.
TRUST = {"genes": 0.5, "components": 1.0, "embedding": 1.5, "propagated": 3.0}
COUNTS = (4, 8, 16, 32, 64, 128)  # of components to choose from
LEADING = 64  # components where nothing can choose, beside the embedding, and of neighbours


class PooledHead(Head):
    r"""Several linear classifiers, averaged in log space by how well they predict out of fold.

    .. math:: p(c \mid x) \propto \prod_e p_e(c \mid x)^{w_e}, \quad w_e \geq 0, \sum_e w_e = 1

    The experts are logistic regressions on the genes, on the leading principal components (as many
    as predict best), on components and embedding side by side, and, where there are unlabelled
    samples, one that has learned what the labels say of their neighbours. The weights have the
    best out-of-fold log loss under a Dirichlet prior.

    Parameters
    ----------
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        As in `SSLClassifier`.
    n_folds : int, default=5
        Folds of the inner cross-validation; fewer where no class has as many samples.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    experts_ : dict of str to LinearHead
        "genes", "components", "embedding" and "propagated".
    weights_ : dict of str to float
        Their weights; those of the prior where no class has two samples.
    n_components_ : int
        Number of components of the second expert.
    block_sizes_ : tuple of float
        What components and embedding are divided by for the third.
    """

    def __init__(self, class_weight="sqrt", *, n_folds=5, random_state=None):
        self.class_weight = class_weight
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X: Features, y, sample_weight=None, X_unlabeled: Features | None = None):
        """Fit the experts, then their weights.

        Parameters
        ----------
        X : Features
            Of the labelled samples.
        y : array-like of shape (n_samples,)
            Their labels, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Multiplied with the class weights.
        X_unlabeled : Features or None, default=None
            Of the unlabelled samples; their genes are not looked at.

        Returns
        -------
        self : PooledHead
            The fitted head.
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        weight = class_weights(self.class_weight, self.classes_, y)
        of_samples = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight)
        weight = weight[codes] * of_samples
        pool = _unless_empty(X_unlabeled)
        # One seed, so that all experts have the same folds.
        self.seed = check_random_state(self.random_state).randint(2**31 - 1)
        folds = inner_folds(codes, self.n_folds, self.seed)
        tested = np.concatenate([test for _, test in folds]) if folds else np.arange(0)
        self.judged = tested, codes[tested], weight[tested] / weight.mean()

        self.n_components_, components = fit_leading(
            self._linear(), X.components, y, sample_weight, counts=COUNTS, fallback=LEADING
        )
        self.experts_ = {
            "genes": self._linear().fit(X.genes, y, sample_weight),
            "components": components,
            "embedding": self._embedding_expert(X, y, sample_weight, pool),
        }
        if pool is not None:
            near = Neighbourhoods(self._view("propagated", X), self._view("propagated", pool))
            propagated = near.distil(
                folds, codes, np.bincount(codes, weight), of_samples / of_samples.mean()
            )
            propagated.classes_ = self.classes_
            self.experts_["propagated"] = propagated
        self._weigh()
        return self

    def with_embedding(self, X: Features, y, sample_weight=None, X_unlabeled=None) -> "PooledHead":
        """Return a copy whose expert reads another embedding of the same samples; as in `fit`."""
        head = self._copy()
        pool = _unless_empty(X_unlabeled)
        return head.with_expert(head._embedding_expert(X, y, sample_weight, pool))

    def with_expert(self, expert: LinearHead) -> "PooledHead":
        """Return a copy with another embedding expert; reweighed if that has been judged."""
        head = self._copy()
        head.experts_ = {**self.experts_, "embedding": expert}
        if hasattr(expert, "out_of_fold"):
            head._weigh()
        return head

    def without(self, *names: str) -> "PooledHead":
        """Return a copy that lacks some experts, the others reweighed."""
        head = self._copy()
        head.experts_ = {name: e for name, e in self.experts_.items() if name not in names}
        head._weigh()
        return head

    def start(self, X: Features) -> Start:
        """Return where unfrozen training begins: at the expert that reads the embedding."""
        one, other = self.block_sizes_
        beside = X.components[:, :LEADING] / one
        return Start(self.experts_["embedding"], self._view("embedding", X), beside, other)

    def _copy(self) -> "PooledHead":
        head = clone(self)
        vars(head).update(vars(self))
        return head

    def _linear(self) -> LinearHead:
        return LinearHead(self.class_weight, n_folds=self.n_folds, random_state=self.seed)

    def _embedding_expert(self, X: Features, y, sample_weight, pool) -> LinearHead:
        # Of the larger of the two: a handful of profiles tells little of sizes.
        many = X if pool is None or len(pool.components) < len(X.components) else pool
        self.block_sizes_ = _size(many.components[:, :LEADING]), _size(many.embedding)
        return self._linear().fit(self._view("embedding", X), y, sample_weight)

    def _weigh(self) -> None:
        if not hasattr(self, "judged"):
            raise AttributeError(
                "What the experts were weighed by, labels among it, is neither saved nor copied "
                "with them: leave experts out of the head that was fitted."
            )
        trust = np.array([TRUST[name] for name in self.experts_])
        rows, codes, weight = self.judged
        log_p = np.stack([expert.out_of_fold[rows] for expert in self.experts_.values()])
        found = opinion_weights(log_p, codes, weight, trust)
        self.weights_ = dict(zip(self.experts_, found.tolist(), strict=True))

    def log_odds(self, X: Features) -> np.ndarray:
        """Return the linear score of every class, (n_samples, n_classes)."""
        check_is_fitted(self)
        return sum(
            weight * self.experts_[name].log_odds(self._view(name, X))
            for name, weight in self.weights_.items()
        )

    def _view(self, expert: str, X: Features) -> np.ndarray:
        """Return what an expert sees of the samples."""
        if not isinstance(X, Features):
            raise TypeError(
                "The pooled head predicts from genes, components and embedding together: ask the "
                "classifier that it belongs to, or pass clf.linear_path_.features(X, embedding)."
            )
        if expert == "genes":
            return X.genes
        if expert == "components":
            return X.components[:, : self.n_components_]
        components = X.components[:, :LEADING]
        if expert == "propagated":
            return components
        one, other = self.block_sizes_
        return np.concatenate([components / one, X.embedding / other], axis=1)


def _unless_empty(pool: Features | None) -> Features | None:
    return pool if pool is not None and len(pool.components) else None


def _size(block: np.ndarray) -> float:
    """Return the root of the total variance, or 1 where that is nothing but rounding."""
    size = np.sqrt(block.var(axis=0, dtype=np.float64).sum())
    rounding = np.finfo(np.float32).eps * np.abs(block).max(initial=0.0)
    return float(size) if size > rounding else 1.0


def opinion_weights(
    log_p: np.ndarray, codes: np.ndarray, weight: np.ndarray, trust: np.ndarray
) -> np.ndarray:
    """Return the likeliest weights of experts whose log probabilities are averaged.

    Parameters
    ----------
    log_p : ndarray of shape (n_experts, n_samples, n_classes)
        Of samples that the experts were not fitted on.
    codes : ndarray of shape (n_samples,)
        True classes.
    weight : ndarray of shape (n_samples,)
        Of the samples.
    trust : ndarray of shape (n_experts,)
        Of the Dirichlet prior, in softmax coordinates.
    """
    rows = np.arange(len(codes))
    if not len(rows):
        return trust / trust.sum()

    def loss(logits):
        w = softmax(logits)
        pooled = log_softmax(np.tensordot(w, log_p, 1), axis=1)
        error = np.exp(pooled) * weight[:, None]
        error[rows, codes] -= weight
        slope = (log_p * error).sum(axis=(1, 2))
        value = -weight @ pooled[rows, codes] - trust @ np.log(w)
        return value, w * (slope - w @ slope) - trust + w * trust.sum()

    start = np.log(trust / trust.sum())
    return softmax(minimize(loss, start, jac=True, method="L-BFGS-B").x)
