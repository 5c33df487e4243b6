"""VIME: find which genes of a sample are corrupted, and what they were."""

from collections.abc import Sequence

import torch

from ._docs import shared_documentation
from ._nn.encoder import Encoder
from ._nn.heads import Decoder
from ._parameters import NOT_NEGATIVE, SHARE, check_sizes
from ._training.objective import Objective
from ._training.views import Views
from .base import BaseSSLTransformer


class VimeObjective(Objective):
    """Mask estimation and feature reconstruction from a corrupted view."""

    def __init__(
        self,
        encoder: Encoder,
        decoder_sizes: Sequence[int],
        n_features: int,
        *,
        corruption_rate: float,
        alpha: float,
        generator: torch.Generator,
    ):
        super().__init__(encoder)
        n_in = encoder.n_representation
        self.mask_decoder = Decoder(n_in, decoder_sizes, n_features, generator)
        self.feature_decoder = Decoder(n_in, decoder_sizes, n_features, generator)
        self.corruption_rate = corruption_rate
        self.alpha = alpha

    def loss(self, views: Views) -> torch.Tensor:
        """Return BCE of the mask plus alpha times MSE of the genes."""
        corrupted, _ = views.corrupted(self.corruption_rate)
        (h,) = self.represent([corrupted])
        # As in VIME's code: where donor and sample agree (zeros!) nothing was corrupted.
        mask = corrupted != views.clean
        return self.mask_decoder(h, mask, "bce") + self.alpha * self.feature_decoder(
            h, views.clean, "mse"
        )


@shared_documentation
class VimeTransformer(BaseSSLTransformer):
    r"""Pretrain an encoder by undoing corruption (VIME).

    Every gene of a sample is replaced with probability ``corruption_rate`` by a draw from its
    empirical marginal, anew in every batch. From the encoded corrupted sample
    :math:`e(\tilde x)` two decoders estimate the mask :math:`m = 1[\tilde x \neq x]` and the
    sample :math:`x` (eqs. 4 to 6 of [1]_):

    .. math:: L = \mathrm{BCE}(\hat m, m) + \alpha\,\mathrm{MSE}(\hat x, x)

    both as means over all entries of the batch.

    Parameters
    ----------
    <first parameters>
    corruption_rate : float in (0, 1), default=0.5
        Probability of a gene to be replaced.
    alpha : float, default=2.0
        Weight of the reconstruction beside the mask.
    decoder_sizes : sequence of int, default=(256,)
        Hidden layers of each decoder, with BatchNorm and ReLU; may be empty.
    <shared parameters>

    Attributes
    ----------
    <shared attributes>

    See Also
    --------
    ScarfTransformer : Contrast samples with their corrupted selves.
    ByolTransformer : Predict the representation of another view.
    SSLClassifier : Classify with a pretrained encoder.

    Notes
    -----
    Presets of `from_preset`: "dradjat2025" (the text of [2]_), "dradjat2025-code" (its published
    scripts: dropout 0.2) and "yoon2020" ([1]_ and its code; one hidden layer, here of 256 units
    where it has one per feature, and AdamW without weight decay where it has RMSprop). The
    encoder has BatchNorm in all of them, and its statistics are re-estimated after training.

    References
    ----------
    .. [1] Yoon, Zhang, Jordon, van der Schaar (2020). VIME: Extending the success of self- and
       semi-supervised learning to tabular domain. NeurIPS.
    .. [2] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import VimeTransformer
    >>> from sslgex.datasets import make_expression
    >>> X, y = make_expression(n_samples=100, n_genes=200, return_X_y=True, random_state=0)
    >>> vime = VimeTransformer(hidden_layer_sizes=(32, 32), max_epochs=5, random_state=0)
    >>> vime.fit_transform(X).shape
    (100, 64)
    """

    _PAPER = {
        "hidden_layer_sizes": (256, 256, 256, 256),
        "architecture": "mlp",
        "corruption_rate": 0.3,
        "alpha": 2.0,
        "decoder_sizes": (256, 256, 256, 256),
        "embedding": "last",
        "dropout": 0.0,
        "lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "batch_size": 16,
        "max_epochs": 1000,
        "validation_fraction": 0.1,
    }
    _PRESETS = {
        "dradjat2025": _PAPER,
        "dradjat2025-code": {**_PAPER, "dropout": 0.2},
        "yoon2020": {
            **_PAPER,
            "hidden_layer_sizes": (256,),
            "decoder_sizes": (),
            "lr": 1e-3,
            "batch_size": 128,
            "max_epochs": 10,
            "validation_fraction": None,
        },
    }

    _parameter_constraints: dict = {
        **BaseSSLTransformer._parameter_constraints,
        "corruption_rate": [SHARE],
        "alpha": [NOT_NEGATIVE],
        "decoder_sizes": ["array-like"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256),
        *,
        architecture="residual",
        corruption_rate=0.5,
        alpha=2.0,
        decoder_sizes=(256,),
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
        self.alpha = alpha
        self.decoder_sizes = decoder_sizes

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_sizes(self, "decoder_sizes", allow_empty=True)

    def _make_objective(self, encoder: Encoder, generator: torch.Generator) -> VimeObjective:
        return VimeObjective(
            encoder,
            self.decoder_sizes,
            self.n_features_in_,
            corruption_rate=self.corruption_rate,
            alpha=self.alpha,
            generator=generator,
        )
