"""SCARF: tell a sample from the others although many of its genes are corrupted."""

from collections.abc import Sequence

import torch

from ._docs import shared_documentation
from ._nn.encoder import Encoder
from ._nn.heads import mlp
from ._nn.losses import info_nce
from ._parameters import POSITIVE, SHARE, check_sizes
from ._training.corruption import n_corrupted
from ._training.objective import Objective
from ._training.views import Views
from .base import BaseSSLTransformer


class ScarfObjective(Objective):
    """InfoNCE between the projections of a clean and a corrupted view."""

    def __init__(
        self,
        encoder: Encoder,
        projection_sizes: Sequence[int],
        *,
        corruption_rate: float,
        temperature: float,
        symmetric: bool,
        generator: torch.Generator,
    ):
        super().__init__(encoder)
        self.projector = mlp(
            encoder.n_representation, projection_sizes, generator, batch_norm=False
        )
        self.corruption_rate = corruption_rate
        self.temperature = temperature
        self.symmetric = symmetric

    def loss(self, views: Views) -> torch.Tensor:
        """Return the contrastive loss of a batch."""
        corrupted, _ = views.corrupted(self.corruption_rate, exact=True)
        h, h_corrupted = self.represent([views.clean, corrupted])
        z, z_corrupted = self.projector(h), self.projector(h_corrupted)
        return info_nce(z, z_corrupted, self.temperature, symmetric=self.symmetric)


@shared_documentation
class ScarfTransformer(BaseSSLTransformer):
    r"""Pretrain an encoder by contrasting samples with their corrupted selves (SCARF).

    Of every sample :math:`x_i` exactly ``floor(corruption_rate * n_features)`` genes are replaced
    by draws from those genes' empirical marginals, anew in every batch, which gives
    :math:`\tilde x_i`. With the encoder :math:`e`, a projector :math:`g`,
    :math:`z_i = g(e(x_i))`, :math:`\tilde z_i = g(e(\tilde x_i))` and the cosine similarity
    :math:`s`, pretraining minimises

    .. math:: L = -\frac1B \sum_i \log
        \frac{\exp(s(z_i, \tilde z_i)/\tau)}{\sum_k \exp(s(z_i, \tilde z_k)/\tau)}

    (eq. in section 3 of [1]_), or its symmetric form over both views (NT-Xent).

    Parameters
    ----------
    <first parameters>
    corruption_rate : float in (0, 1), default=0.6
        Share of the genes of a sample to replace.
    temperature : float, default=1.0
        :math:`\tau`; divides the similarities.
    symmetric : bool, default=True
        Contrast each of the 2B views with the 2B - 1 others (NT-Xent, as in the code of [2]_), or
        only clean samples with corrupted ones (the published formulas).
    projection_sizes : sequence of int, default=(256, 128)
        Layers of the projector, with ReLU between them.
    <shared parameters>

    Attributes
    ----------
    <shared attributes>

    See Also
    --------
    VimeTransformer : Reconstruct corrupted genes.
    ByolTransformer : Predict the representation of another view.
    SSLClassifier : Classify with a pretrained encoder.

    Notes
    -----
    Presets of `from_preset`: "dradjat2025" (the text of [2]_), "dradjat2025-code" (its published
    scripts: symmetric loss, dropout 0.2) and "bahri2022" ([1]_). The encoder has BatchNorm in all
    of them, also where [1]_ has none, and its statistics are re-estimated after training.

    References
    ----------
    .. [1] Bahri, Jiang, Tay, Metzler (2022). SCARF: Self-supervised contrastive learning using
       random feature corruption. ICLR.
    .. [2] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import ScarfTransformer
    >>> from sslgex.datasets import make_expression
    >>> X, y = make_expression(n_samples=100, n_genes=200, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer(hidden_layer_sizes=(32, 32), max_epochs=5, random_state=0)
    >>> scarf.fit_transform(X).shape
    (100, 64)
    """

    _PAPER = {
        "hidden_layer_sizes": (256, 256, 256, 256),
        "architecture": "mlp",
        "corruption_rate": 0.3,
        "temperature": 1.0,
        "symmetric": False,
        "projection_sizes": (256, 256),
        "embedding": "last",
        "dropout": 0.0,
        "lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "batch_size": 256,
        "max_epochs": 1000,
        "validation_fraction": 0.1,
    }
    _PRESETS = {
        "dradjat2025": _PAPER,
        "dradjat2025-code": {**_PAPER, "symmetric": True, "dropout": 0.2},
        "bahri2022": {
            **_PAPER,
            "corruption_rate": 0.6,
            "lr": 1e-3,
            "batch_size": 128,
            "early_stopping": True,
            "n_iter_no_change": 3,
        },
    }

    _parameter_constraints: dict = {
        **BaseSSLTransformer._parameter_constraints,
        "corruption_rate": [SHARE],
        "temperature": [POSITIVE],
        "symmetric": ["boolean"],
        "projection_sizes": ["array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256),
        *,
        architecture="residual",
        corruption_rate=0.6,
        temperature=1.0,
        symmetric=True,
        projection_sizes=(256, 128),
        embedding="all",
        standardize=True,
        layer=None,
        dropout=0.0,
        lr=1e-3,
        weight_decay=0.01,
        schedule="one-cycle",
        batch_size=256,
        max_epochs="auto",
        early_stopping=False,
        validation_fraction=None,
        n_iter_no_change=10,
        tol=0.0,
        device="auto",
        precision="auto",
        random_state=None,
        verbose=0,
        warm_start=False,
        checkpoint=None,
        checkpoint_every="10 minutes",
    ):
        super().__init__(
            hidden_layer_sizes,
            architecture=architecture,
            embedding=embedding,
            standardize=standardize,
            layer=layer,
            dropout=dropout,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            device=device,
            precision=precision,
            random_state=random_state,
            verbose=verbose,
            warm_start=warm_start,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
        )
        self.corruption_rate = corruption_rate
        self.temperature = temperature
        self.symmetric = symmetric
        self.projection_sizes = projection_sizes

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_sizes(self, "projection_sizes")

    def _make_objective(self, encoder: Encoder, generator: torch.Generator) -> ScarfObjective:
        if n_corrupted(self.corruption_rate, self.n_features_in_) == 0:
            raise ValueError(
                f"corruption_rate={self.corruption_rate} of n_features={self.n_features_in_} "
                "corrupts no gene at all, so there is nothing to learn. Raise it."
            )
        return ScarfObjective(
            encoder,
            self.projection_sizes,
            corruption_rate=self.corruption_rate,
            temperature=self.temperature,
            symmetric=self.symmetric,
            generator=generator,
        )
