"""Labels spread over the neighbourhoods of unlabelled samples, distilled into a linear head."""

import warnings

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import LabelSpreading
from threadpoolctl import threadpool_limits

from ._head import LinearHead, few_of_many_classes

N_NEIGHBORS, ALPHA = 5, 0.7
TRUE_WEIGHT = 3.0  # of a labelled sample, beside at most 1 of one that got its label by spreading
PENALTY = 0.01  # of the squared weights, for rows of mean squared norm 1


def neighbours(X, Y=None, *, n_neighbors: int):
    """Return the graph of X, (n, n), or which of X are nearest to each of Y, (n, m).

    In the graph two samples are neighbours if either is among the other's nearest: the kernel of
    scikit-learn's own name knows one direction, and a sample that is nobody's nearest keeps its
    label to itself.
    """
    others = len(X) if Y is not None else len(X) - 1
    near = NearestNeighbors(n_neighbors=min(n_neighbors, others)).fit(X)
    if Y is not None:
        return near.kneighbors_graph(Y).T
    graph = near.kneighbors_graph()
    return graph.maximum(graph.T)


class Neighbourhoods:
    """The graph of labelled and unlabelled samples, and what spreads over it.

    Parameters
    ----------
    labelled, pool : ndarray of shape (n_samples, n_components)
        Principal components. Near is what has a small angle when each is divided by the root of
        its standard deviation, halfway to components of equal weight.
    """

    def __init__(self, labelled: np.ndarray, pool: np.ndarray):
        self.X = np.concatenate([labelled, pool])
        centred = self.X - self.X.mean(axis=0)
        weight = np.sqrt(np.maximum(centred.std(axis=0), np.finfo(np.float32).tiny))
        self.graph = neighbours(normalize(centred / weight), n_neighbors=N_NEIGHBORS)

    def distil(
        self, folds: list, codes: np.ndarray, prior: np.ndarray, weight: np.ndarray
    ) -> LinearHead:
        """Spread labels and return the linear head that imitates the result.

        Parameters
        ----------
        folds : list of (ndarray, ndarray)
            Training and test rows of the labelled samples; each test part gets the log
            probabilities of a head that had not its labels, in ``out_of_fold``.
        codes : ndarray of shape (n_labelled,), int
            Classes, all of ``range(n_classes)``.
        prior : ndarray of shape (n_classes,)
            Of the classes in the pool.
        weight : ndarray of shape (n_labelled,)
            Of the labelled samples, 1 on average. Labels spread alike whatever their weight, which
            counts in what imitates the result.
        """
        head = self._distil(np.arange(len(codes)), codes, prior, weight)
        head.folds, head.out_of_fold = folds, np.full((len(codes), len(prior)), np.nan)
        for train, test in folds:
            other = self._distil(train, codes[train], prior, weight[train])
            head.out_of_fold[test] = log_softmax(other.log_odds(self.X[test]), axis=1)
        return head

    def _distil(self, rows, codes, prior, labelled_weight) -> LinearHead:
        p = self._spread(rows, codes, len(prior))
        mass = p.sum(axis=0)  # none of a class that a fold lacks
        p *= np.divide(prior, mass, out=np.zeros_like(mass), where=mass > 0)
        total = p.sum(axis=1, keepdims=True)
        p = np.divide(p, total, out=np.zeros_like(p), where=total > 0)
        weight = p.max(axis=1) ** 2  # nothing where no label has come to
        p[rows] = np.eye(len(prior))[codes]
        weight[rows] = TRUE_WEIGHT * labelled_weight
        return soft_regression(self.X, p, weight)

    def _spread(self, rows, codes, n_classes: int) -> np.ndarray:
        labels = np.full(len(self.X), -1)
        labels[rows] = codes
        spreading = LabelSpreading(kernel=lambda *_: self.graph, alpha=ALPHA, max_iter=100)
        with few_of_many_classes(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the ranks have settled by then
            spreading.fit(self.X, labels)
        p = np.zeros((len(self.X), n_classes))
        p[:, spreading.classes_] = np.nan_to_num(spreading.label_distributions_)
        return p


def soft_regression(X: np.ndarray, p: np.ndarray, weight: np.ndarray) -> LinearHead:
    """Return the multinomial logistic regression of class probabilities.

    scikit-learn's takes classes only.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Samples.
    p : ndarray of shape (n_samples, n_classes)
        What is to be predicted.
    weight : ndarray of shape (n_samples,)
        Of the samples.
    """
    used = weight > 0
    X, p, weight = X[used].astype(np.float64), p[used], weight[used]
    centre = X.mean(axis=0)
    X = X - centre
    size = np.sqrt((X**2).sum() / len(X)) or 1.0
    X /= size
    target = p * (weight / weight.mean())[:, None]
    mass = target.sum(axis=1, keepdims=True)
    n_classes, n_features = p.shape[1], X.shape[1]

    def loss(flat):
        W = flat.reshape(n_classes, n_features + 1)
        log_p = log_softmax(X @ W[:, 1:].T + W[:, 0], axis=1)
        error = np.exp(log_p) * mass - target
        gradient = np.concatenate([error.sum(axis=0)[:, None], error.T @ X], axis=1)
        gradient[:, 1:] += PENALTY * W[:, 1:]
        return (PENALTY / 2) * (W[:, 1:] ** 2).sum() - (target * log_p).sum(), gradient.ravel()

    start = np.zeros(n_classes * (n_features + 1))
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    W = found.x.reshape(n_classes, n_features + 1)
    head = LinearHead()
    head.classes_ = np.arange(n_classes)
    head.coef_ = W[:, 1:] / size
    head.intercept_ = W[:, 0] - head.coef_ @ centre
    return head
