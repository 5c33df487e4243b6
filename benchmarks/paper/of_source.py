"""An encoder of one study for the samples of another."""

from joblib import Memory
from sklearn.base import clone

from sslgex._inputs import check_values, check_X
from sslgex.base import BaseSSLTransformer


class OfSource(BaseSSLTransformer):
    """An encoder pretrained on a source, its genes centred and scaled as the target's are.

    Of the samples it is fitted on, which are the target's training samples without their labels,
    it takes means and scales only: every study is standardised by itself, as in the published one.

    Parameters
    ----------
    method : pretrainer
        Unfitted.
    sources : list of ndarray of shape (n_profiles, n_genes)
        What it is pretrained on.
    cache : path
        Directory that keeps the encoder: a source is the same in every split.
    hidden_layer_sizes : sequence of int
        Blocks of the encoder.
    """

    layer = None

    def __init__(self, method, sources, cache, hidden_layer_sizes=(256, 256, 256, 256)):
        self.method = method
        self.sources = sources
        self.cache = cache
        self.hidden_layer_sizes = hidden_layer_sizes

    @property
    def device(self):
        return self.method.device

    def fit(self, X, y=None, *, X_unlabeled=None):
        """Pretrain on the source, or find that done."""
        statistics = check_values(self, [check_X(self, X, reset=True, gather=True)])
        method = clone(self.method).set_params(hidden_layer_sizes=self.hidden_layer_sizes)
        fitted = Memory(self.cache, verbose=0).cache(pretrained)(method, self.sources)
        for name in ("encoder_", "components_", "history_", "loss_curve_", "n_iter_"):
            setattr(self, name, getattr(fitted, name))
        self.mean_, self.scale_ = statistics.mean, statistics.scale
        return self


def pretrained(method, sources):
    """Return an encoder of the sources."""
    first, *others = sources
    return method.fit(first, X_unlabeled=others or None)
