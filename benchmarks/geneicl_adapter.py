"""GeneICL, a pretrained in-context model for bulk expression, as a scikit-learn classifier."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["GeneICLClassifier"]


class GeneICLClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of the package ``geneicl``: no training, the labelled samples are its context.

    Parameters
    ----------
    checkpoint : {0, 1, 2}, default=0
        Which of the three networks in the package, pretrained with different seeds.
    ensemble_seed : int or None, default=None
        None is one forward pass. An int averages over 24: 8 choices of labelled samples, drawn
        with this seed, times 3 shares of variance kept by the internal PCA.
    device : str, default="cpu"
        "cpu" (float32) or "cuda" (bfloat16, so slightly different probabilities).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, at most 10.
    model_ : geneicl.GeneICL
        The network with the labelled samples.
    n_features_in_ : int
        Number of genes.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the genes; only if `X` had them.

    Notes
    -----
    `X` is log2 expression and is turned into natural logarithms, GeneICL's unit. Any genes will
    do, with or without names: the network sees principal components of the genes, standardised
    by the labelled samples.
    """

    def __init__(self, checkpoint=0, *, ensemble_seed=None, device="cpu"):
        self.checkpoint = checkpoint
        self.ensemble_seed = ensemble_seed
        self.device = device

    def fit(self, X, y):
        """Load the network and keep the labelled samples."""
        try:
            import geneicl
            import torch
        except ImportError as error:
            raise ImportError("GeneICLClassifier needs geneicl: pip install geneicl") from error

        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        limit = geneicl.model.MAX_K
        if len(classes) > limit:
            raise ValueError(f"GeneICL takes at most {limit} classes, but y has {len(classes)}.")
        path = geneicl.CKPT.with_name(f"trm_segmented8_s{self.checkpoint}.pt")
        # It draws initial weights before it loads its own: leave torch's global state as it was.
        with torch.random.fork_rng(devices=[]):
            model = geneicl.GeneICL(
                "classification", ckpt=path, device=self.device, ensemble_seed=self.ensemble_seed
            )
        self.model_ = model.fit(_natural_log(X), codes)
        self.classes_ = classes
        return self

    def predict_proba(self, X):
        """Probabilities of the classes, in the order of ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        proba = self.model_.predict_proba(_natural_log(X)).astype(np.float64)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X):
        """The most probable class of each sample."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


def _natural_log(X):
    return X * np.float32(np.log(2))
