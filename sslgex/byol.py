"""BYOL: predict how a slow copy of the network sees another view of the sample."""

from collections.abc import Sequence

import torch
from sklearn.utils._param_validation import StrOptions

from ._docs import shared_documentation
from ._nn.encoder import Encoder
from ._nn.heads import mlp
from ._nn.losses import cosine_loss
from ._nn.momentum import cosine_decay, momentum_copy, update_momentum
from ._parameters import SHARE, check_sizes
from ._training.objective import Objective
from ._training.views import Views
from .base import BaseSSLTransformer


class ByolObjective(Objective):
    """Cosine loss between the online prediction and the target's projection."""

    def __init__(
        self,
        encoder: Encoder,
        projection_sizes: Sequence[int],
        prediction_sizes: Sequence[int],
        *,
        corruption_rate: float,
        ema_decay: float,
        ema_schedule: str,
        symmetric: bool,
        generator: torch.Generator,
    ):
        super().__init__(encoder)
        self.projector = mlp(encoder.n_representation, projection_sizes, generator, batch_norm=True)
        self.predictor = mlp(projection_sizes[-1], prediction_sizes, generator, batch_norm=True)
        self.target_encoder = momentum_copy(encoder)
        self.target_projector = momentum_copy(self.projector)
        self.corruption_rate = corruption_rate
        self.ema_decay = ema_decay
        self.ema_schedule = ema_schedule
        self.symmetric = symmetric

    def loss(self, views: Views) -> torch.Tensor:
        """Return the regression loss of a batch, averaged over both directions if symmetric."""
        corrupted, _ = views.corrupted(self.corruption_rate)
        if not self.symmetric:
            return self._one_way([views.clean], [corrupted])
        return self._one_way([views.clean, corrupted], [corrupted, views.clean])

    def _one_way(self, seen: list[torch.Tensor], predicted: list[torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            targets = [self.target_projector(h) for h in self.target_encoder.represent(predicted)]
        predictions = [self.predictor(self.projector(h)) for h in self.represent(seen)]
        losses = [cosine_loss(q, z) for q, z in zip(predictions, targets, strict=True)]
        return torch.stack(losses).mean()

    def start(self, n_steps: float, step: int = 0) -> None:
        """Begin the decay's schedule, or go on with it."""
        self.step, self.n_steps = step, n_steps

    def after_step(self) -> None:
        """Move the target a little towards the online network."""
        decay = self.ema_decay
        if self.ema_schedule == "cosine":
            decay = cosine_decay(decay, self.step, self.n_steps)
        update_momentum(self.target_encoder, self.encoder, decay)
        update_momentum(self.target_projector, self.projector, decay)
        self.step += 1


@shared_documentation
class ByolTransformer(BaseSSLTransformer):
    r"""Pretrain an encoder by predicting a slow copy of itself (BYOL).

    Every gene of a sample is replaced with probability ``corruption_rate`` by a draw from its
    empirical marginal, anew in every batch. The online network (encoder, projector, predictor
    :math:`q`) sees one view and predicts the projection :math:`z'` that the target network
    (encoder, projector; no gradient) makes of the other (eq. 2 of [1]_):

    .. math:: L = 2 - 2\,\frac{\langle q(z), z'\rangle}{\|q(z)\|\,\|z'\|}

    After every step the target's parameters follow,
    :math:`\xi \leftarrow \tau\xi + (1 - \tau)\theta`; its BatchNorm statistics are those of
    the batches it sees itself.

    Parameters
    ----------
    <first parameters>
    corruption_rate : float in (0, 1), default=0.8
        Probability of a gene to be replaced.
    ema_decay : float in (0, 1), default=0.9
        :math:`\tau`. Over a few hundred steps a target with 0.996 hardly moves.
    ema_schedule : {"constant", "cosine"}, default="constant"
        Keep the decay, or raise it to 1 by a cosine over the training as in [1]_.
    symmetric : bool, default=True
        Average both directions (as in [1]_ and the code of [2]_), or let only the online network
        see the clean sample and only the target the corrupted one (the text of [2]_).
    projection_sizes : sequence of int, default=(1024, 256)
        Layers of the projector, with BatchNorm and ReLU between them.
    prediction_sizes : sequence of int, default=(1024, 256)
        Layers of the predictor, likewise; must end as the projector does.
    <shared parameters>

    Attributes
    ----------
    <shared attributes>

    See Also
    --------
    ScarfTransformer : Contrast samples with their corrupted selves.
    VimeTransformer : Reconstruct corrupted genes.
    SSLClassifier : Classify with a pretrained encoder.

    Notes
    -----
    Presets of `from_preset`: "dradjat2025" (the text of [2]_), "dradjat2025-code" (its published
    scripts: symmetric loss, dropout 0.2) and "grill2020" (decay 0.996 rising to 1, symmetric;
    what [1]_ says of images, such as its augmentations and optimiser, is that of [2]_). The
    encoder's BatchNorm statistics are re-estimated after training.

    References
    ----------
    .. [1] Grill et al. (2020). Bootstrap your own latent: A new approach to self-supervised
       learning. NeurIPS.
    .. [2] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import ByolTransformer
    >>> from sslgex.datasets import make_expression
    >>> X, y = make_expression(n_samples=100, n_genes=200, return_X_y=True, random_state=0)
    >>> byol = ByolTransformer(hidden_layer_sizes=(32, 32), max_epochs=5, random_state=0)
    >>> byol.fit_transform(X).shape
    (100, 64)
    """

    _PAPER = {
        "hidden_layer_sizes": (256, 256, 256, 256),
        "architecture": "mlp",
        "corruption_rate": 0.3,
        "ema_decay": 0.9,
        "symmetric": False,
        "projection_sizes": (4096, 256),
        "prediction_sizes": (4096, 256),
        "embedding": "last",
        "dropout": 0.0,
        "lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "batch_size": 32,
        "max_epochs": 200,
        "validation_fraction": 0.1,
    }
    _PRESETS = {
        "dradjat2025": _PAPER,
        "dradjat2025-code": {**_PAPER, "symmetric": True, "dropout": 0.2},
        "grill2020": {
            **_PAPER,
            "ema_decay": 0.996,
            "ema_schedule": "cosine",
            "symmetric": True,
            "validation_fraction": None,
        },
    }

    _parameter_constraints: dict = {
        **BaseSSLTransformer._parameter_constraints,
        "corruption_rate": [SHARE],
        "ema_decay": [SHARE],
        "ema_schedule": [StrOptions({"constant", "cosine"})],
        "symmetric": ["boolean"],
        "projection_sizes": ["array-like"],
        "prediction_sizes": ["array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256),
        *,
        architecture="residual",
        corruption_rate=0.8,
        ema_decay=0.9,
        ema_schedule="constant",
        symmetric=True,
        projection_sizes=(1024, 256),
        prediction_sizes=(1024, 256),
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
        self.ema_decay = ema_decay
        self.ema_schedule = ema_schedule
        self.symmetric = symmetric
        self.projection_sizes = projection_sizes
        self.prediction_sizes = prediction_sizes

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_sizes(self, "projection_sizes")
        check_sizes(self, "prediction_sizes")
        ends = list(self.projection_sizes)[-1], list(self.prediction_sizes)[-1]
        if ends[0] != ends[1]:
            raise ValueError(
                "The prediction is compared with a projection, so prediction_sizes must end as "
                f"projection_sizes does; they end with {ends[1]} and {ends[0]}."
            )
        if self.early_stopping:
            raise ValueError(
                "early_stopping=True is of no use to ByolTransformer: its loss falls for ever "
                "against its own moving target and tells nothing of the embedding. Choose "
                "max_epochs, and watch 'spread' in history_ for collapse."
            )

    def _make_objective(self, encoder: Encoder, generator: torch.Generator) -> ByolObjective:
        return ByolObjective(
            encoder,
            self.projection_sizes,
            self.prediction_sizes,
            corruption_rate=self.corruption_rate,
            ema_decay=self.ema_decay,
            ema_schedule=self.ema_schedule,
            symmetric=self.symmetric,
            generator=generator,
        )
