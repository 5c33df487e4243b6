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
    source : ndarray of shape (n_source, n_genes)
        What it is pretrained on.
    cache : path
        Directory that keeps the encoder.
    """

    layer = None

    def __init__(self, method, source, cache):
        self.method = method
        self.source = source
        self.cache = cache

    @property
    def device(self):
        return self.method.device

    @property
    def hidden_layer_sizes(self):
        return self.method.hidden_layer_sizes

    def fit(self, X, y=None, *, X_unlabeled=None):
        """Pretrain on the source, or find that done."""
        statistics = check_values(self, [check_X(self, X, reset=True, gather=True)])
        fitted = Memory(self.cache, verbose=0).cache(pretrained)(self.method, self.source)
        for name in ("encoder_", "components_", "history_", "loss_curve_", "n_iter_"):
            setattr(self, name, getattr(fitted, name))
        self.mean_, self.scale_ = statistics.mean, statistics.scale
        return self


def pretrained(method, source):
    """Return an encoder of the source."""
    return clone(method).fit(source)
