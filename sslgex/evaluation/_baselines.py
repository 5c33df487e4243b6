"""The classifiers that pretraining has to beat."""

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._untrained import UntrainedTransformer
from ..classifier import SSLClassifier
from ._tuned import Baseline, Centroids, LeadingComponents, Spreading, Tuned, TunedWithPool


class PrincipalComponents(
    Baseline, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """PCA of standardised genes, with no more components than there can be.

    Parameters
    ----------
    n_components : int, default=128
        At most.
    random_state : int, RandomState instance or None, default=None
        Of the randomised solver.
    """

    def __init__(self, n_components=128, *, random_state=None):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the genes' scales and the components."""
        k = min(self.n_components, X.shape[0] - 1, X.shape[1] - 1) or 1
        # PCA centres by itself, sparse matrices too.
        scale, pca = StandardScaler(with_mean=False), PCA(k, random_state=self.random_state)
        self.steps_ = make_pipeline(scale, pca).fit(X)
        self._n_features_out = k
        return self

    def transform(self, X):
        """Return the components."""
        return self.steps_.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def default_baselines(*, class_weight="sqrt", random_state=None):
    """Return the classifiers that pretraining has to beat, for `label_efficiency_curve`.

    Those marked * learn the genes' scales, the components, the neighbourhoods from the same
    unlabelled samples that pretraining gets. Hyper-parameters are chosen by stratified 5-fold
    cross-validation within the labelled samples, on the weighted log loss, as `SSLClassifier`
    chooses its penalty; so is a temperature of the probabilities where no penalty sets their
    scale. With fewer than 5 samples in the largest class there are as many folds as it has; a
    class absent from a fold's training part is left out of its judgement; and where every class
    has one sample only, the value named "else" is taken.

    =============================  ==============================================================
    "logistic regression" *        on standardised genes; 11 penalties, else C = 10
    "PCA + logistic regression" *  components (4, 8, ..., 128, else 64) and penalty together
    "label spreading" *            scikit-learn's LabelSpreading on components (64 or 16) of unit
                                   length, 5, 10 or 20 neighbours, alpha 0.9; else 64, 10
    "nearest centroid" *           on standardised genes; shrinkage none, 0.5, 1, 2, else none
    "nearest neighbours" *         1, 3, 5 or 10 in 64 components, by their angle; else 1
    "random forest"                100 trees; leaves of at least 1 or 3 samples, else 1
    "network from scratch"         the study's baseline, without pretraining, trained as there; to
                                   its end where too few labels could be held out
    "network from scratch (ours)"  the same network, trained as `SSLClassifier` does by default
    "random encoder" *             an encoder with random weights, frozen, and the linear head
    =============================  ==============================================================

    Parameters
    ----------
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        Of all but the study's network, which has none; as in `SSLClassifier`. A classifier that
        takes no sample weights has its probabilities multiplied by it.
    random_state : int, RandomState instance or None, default=None
        Given to every one. None: `label_efficiency_curve` seeds them.

    Returns
    -------
    baselines : dict of str to classifier
        Unfitted.

    Examples
    --------
    >>> from sslgex.evaluation import default_baselines
    >>> list(default_baselines())[:2]
    ['logistic regression', 'PCA + logistic regression']
    """
    shared = {"class_weight": class_weight, "random_state": random_state}
    scaler = StandardScaler(with_mean=False)  # the heads centre, or do not mind
    components = PrincipalComponents(random_state=random_state)

    def on(encoder, head="linear"):
        return SSLClassifier(encoder, mode="frozen", head=head, **shared)

    return {
        "logistic regression": on(scaler),
        "PCA + logistic regression": on(components, LeadingComponents(**shared)),
        "label spreading": on(
            components,
            TunedWithPool(
                Spreading(), {"n_components": [64, 16], "n_neighbors": [10, 5, 20]}, **shared
            ),
        ),
        "nearest centroid": on(
            scaler,
            Tuned(
                Centroids(priors="empirical"),
                {"shrink_threshold": [None, 0.5, 1.0, 2.0]},
                **shared,
            ),
        ),
        "nearest neighbours": on(
            PrincipalComponents(64, random_state=random_state),
            Tuned(KNeighborsClassifier(metric="cosine"), {"n_neighbors": [1, 3, 5, 10]}, **shared),
        ),
        "random forest": Tuned(RandomForestClassifier(), {"min_samples_leaf": [1, 3]}, **shared),
        "network from scratch": SSLClassifier.from_preset("dradjat2025", random_state=random_state),
        "network from scratch (ours)": SSLClassifier(**shared),
        "random encoder": on(UntrainedTransformer(embedding="all", random_state=random_state)),
    }
