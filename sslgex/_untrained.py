"""The encoder before any training: what a network from scratch starts from."""

from ._callbacks import Task
from .base import BaseSSLTransformer


class UntrainedTransformer(BaseSSLTransformer):
    """Embed with an encoder that has random weights and has seen only the genes' statistics.

    `SSLClassifier` starts from it where it has no encoder.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(256, 256, 256, 256)
        Width of each block of the encoder.
    embedding : {"last", "all"}, default="last"
        What `transform` returns, as for the pretrainers.
    device : str, default="auto"
        Where to compute.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights.
    """

    _doc_page = "sslgex.SSLClassifier"

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256, 256),
        *,
        embedding="last",
        device="auto",
        random_state=None,
    ):
        super().__init__(
            hidden_layer_sizes,
            architecture="mlp",
            embedding=embedding,
            standardize=True,
            layer=None,
            dropout=0.0,
            lr=1e-3,
            weight_decay=0.0,
            schedule="constant",
            batch_size=128,
            max_epochs=1,
            early_stopping=False,
            validation_fraction=None,
            n_iter_no_change=10,
            tol=0.0,
            device=device,
            precision="float32",
            random_state=random_state,
            verbose=0,
        )

    def _make_encoder(self, rows, train, seeds):
        return self._make_mlp(seeds)

    def _pretrain(self, encoder, rows, split, seeds, device, X, y, callbacks) -> Task:
        """Leave the encoder as it is."""
        self._keep(encoder, rows, device, [])
        return Task(self)
