"""Classification with a pretrained encoder, frozen or unfrozen."""

from numbers import Integral

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _clone_parametrized,
    _fit_context,
)
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ._callbacks import CallbackSupportMixin, Task
from ._doc_link import DocumentationLinkMixin
from ._encoders import check_encoder, fit_encoder, is_fitted, transform
from ._finish import check_head, finish, takes_unlabeled
from ._fitting import all_or_nothing
from ._head import with_weight
from ._inputs import (
    check_values,
    check_X,
    check_X_unlabeled,
    is_anndata,
    matrix_of_pool,
    with_obs_names,
)
from ._labels import check_classes, check_labels
from ._parameters import COUNT, POSITIVE, SHARE, PresetMixin, check_sizes
from ._training.device import resolve_device
from ._training.threads import share_of_processors
from ._training.warning import warn_user
from ._untrained import UntrainedTransformer
from .base import BaseSSLTransformer

ROWS = 1024  # samples whose genes are standardised at a time


def _rows_of(X, rows: np.ndarray):
    """Return some samples of X as the user gave it."""
    return X[rows] if is_anndata(X) else _safe_indexing(X, rows)


def _embedded(encoder, X_unlabeled, checked: list) -> list[tuple]:
    """Return every checked matrix of unlabelled samples with its embedding."""
    given = X_unlabeled if isinstance(X_unlabeled, list | tuple) else [X_unlabeled]
    pool = []
    for i, (x, matrix) in enumerate(zip(given, checked, strict=False)):
        with matrix_of_pool(i):
            pool.append((matrix, transform(encoder, x, matrix)))
    return pool


def _head_has(method: str):
    """Offer ``method`` only if the head has it."""

    def check(self) -> bool:
        head = getattr(self, "head_", self.head)
        if not isinstance(head, str):
            getattr(head, method)
        return True

    return available_if(check)


class SSLClassifier(
    PresetMixin,
    DocumentationLinkMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Classify with a pretrained encoder, frozen or unfrozen.

    Frozen, the samples are embedded once and a head is fitted, by default one that also looks at
    genes and principal components. Unfrozen, a copy of the encoder is then trained together with
    the linear layer that reads it (fine-tuning).

    Parameters
    ----------
    encoder : estimator or None, default=None
        - A fitted pretrainer (or a `FrozenEstimator` around it): used as it is. `clone` keeps it,
          so cross-validation and grid searches never pretrain it again; it is never changed. As
          a value of a parameter grid, put it into a `FrozenEstimator`: scikit-learn clones those
          values by itself, and a bare encoder would come unfitted.
        - An unfitted pretrainer: a clone is pretrained in `fit`, on the samples and
          `X_unlabeled`. Without a seed of its own it takes one from `random_state`.
        - Any other scikit-learn transformer, fitted or not, with ``mode="frozen"``. A `PCA` with
          ``head="linear"`` is the baseline under the same roof.
        - None: an encoder with random weights, the network from scratch.
    mode : {"unfrozen", "frozen"}, default="unfrozen"
        Train the encoder along, or only the head.
    head : {"pooled", "linear", "sgd"} or classifier, default="pooled"
        - "pooled": linear experts averaged in log space by how well they predict out of fold: on
          the genes, on principal components, on 64 components beside the embedding, and, where
          there are unlabelled samples, on what the labels say of their neighbours among these.
        - "linear": logistic regression on the embedding with the L2 penalty of the best
          out-of-fold log loss.
        - "sgd": a linear layer with random weights, trained by gradient descent (the study's).
        - A scikit-learn classifier, with ``mode="frozen"``; if its ``fit`` takes ``X_unlabeled``,
          it gets the unlabelled samples' embedding there.

        Unfrozen training starts from the head that reads the embedding and keeps its penalty. A
        network from scratch (``encoder=None``, ``mode="unfrozen"``) has nothing to fit a head on:
        "pooled" and "linear" both mean a linear layer there, trained from zero weights.
    hidden_layer_sizes : sequence of int, default=(256, 256, 256, 256)
        Blocks of the encoder if `encoder` is None.
    dropout : float in [0, 1), default=0.0
        Dropout of the encoder in unfrozen training.
    lr : float or "auto", default="auto"
        Learning rate of AdamW, at its height if the schedule varies it. "auto": 3e-4 where a
        pretrained encoder is trained along, which should not forget, and 1e-3 elsewhere.
    weight_decay : float, default=0.01
        AdamW's decoupled weight decay.
    schedule : {"one-cycle", "constant"}, default="one-cycle"
        Course of the learning rate.
    batch_size : int, default=32
        Samples per step of gradient training; clipped to the number of samples.
    max_epochs : int, default=30
        Passes over the labelled samples in gradient training.
    batch_norm : {"auto", "stored", "batch"}, default="auto"
        What BatchNorm normalises by in unfrozen training: the pretrained statistics or those of
        the batch. "auto": stored for a pretrained encoder, batch from scratch.
    early_stopping : {"auto"} or bool, default="auto"
        "auto": unfrozen training from a fitted head takes as many epochs, up to `max_epochs`, as
        have the best out-of-fold log loss of the labelled samples, none if that is best or where no
        class has two samples: then this is the frozen mode. Training with nothing fitted to start
        from (``head="sgd"`` or ``encoder=None``) runs to its end, as with False. True: hold out
        `validation_fraction` of the labelled samples, stratified, stop when their loss has not
        fallen for `n_iter_no_change` epochs, and go back to the best weights. If that share has
        fewer samples than there are classes, or a class has only one sample, training runs to its
        end, with a warning. True is an error where a pooled head is trained along, and without
        effect where nothing is trained by gradient.
    validation_fraction : float in (0, 1), default=0.1
        See `early_stopping`.
    n_iter_no_change : int, default=30
        See `early_stopping`.
    tol : float, default=0.0
        By how much the validation loss must fall to count as lower.
    class_weight : {"sqrt", "balanced"}, dict or None, default="sqrt"
        Weights of the classes: the inverse of their frequency ("balanced"), its square root
        ("sqrt"), given, or all equal. Without effect on a classifier given as `head`.
    unlabeled_label : int or str, default=None
        Label of `y` that means unlabelled, such as -1. None: every value is a class.
    memory : str, joblib.Memory or None, default=None
        Cache of pretraining, as in `Pipeline`.
    device : str, default="auto"
        "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps"; for fine-tuning. An
        encoder embeds on its own `device`.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of fine-tuning's matrix products; "auto" is float32 on a CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random.
    verbose : int, default=0
        1 prints a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    encoder_ : transformer
        The fitted encoder: fine-tuned in unfrozen mode, else a copy that shares its weights
        with the encoder it was given and is not touched by refitting that one.
    head_ : classifier
        The fitted head. Unfrozen, it holds the trained linear layer. Pooled, it has ``experts_``
        and ``weights_``, and predicts from more than the embedding: ask this classifier instead.
    linear_path_ : LinearPath or None
        How the pooled head comes to genes and components; None for other heads.
    loss_curve_ : list of float
        Mean training loss of every epoch; empty if the head needed none.
    out_of_fold_curve_ : list of float or None
        Weighted mean log likelihood of the labelled samples by training without their fold, after
        0, 1, ... epochs; with ``early_stopping="auto"`` `n_iter_` is where it is highest. Empty
        where no class has two samples, None where no fold was trained.
    validation_loss_curve_ : list of float or None
        Mean validation loss of every epoch with early stopping.
    history_ : list of dict
        Per epoch "epoch", "loss", "validation_loss" (if any), "lr" and "seconds".
    n_iter_ : int
        Number of epochs.
    n_features_in_ : int
        Number of genes.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the genes; only if `X` had them.

    See Also
    --------
    ScarfTransformer, VimeTransformer, ByolTransformer : The pretrainers.

    Notes
    -----
    Presets of `from_preset`: "dradjat2025" and "dradjat2025-code", the fine-tuning of [1]_:
    random head, batches of 8, at most 100 epochs of Adam at 1e-4, patience 30 with the best
    weights restored, BatchNorm by the batch, no class weights, dropout 0 or 0.2. With
    ``encoder=None`` it is that paper's baseline. Unlike there, early stopping is never left to
    fewer validation samples than there are classes.

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> X, y = make_expression(n_samples=200, n_genes=200, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer((32, 32), max_epochs=10, random_state=0).fit(X)
    >>> clf = SSLClassifier(scarf, mode="frozen", random_state=0).fit(X[:100], y[:100])
    >>> clf.predict(X[100:]).shape
    (100,)
    """

    _PAPER = {
        "head": "sgd",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "batch_size": 8,
        "max_epochs": 100,
        "batch_norm": "batch",
        "early_stopping": True,
        "n_iter_no_change": 30,
        "class_weight": None,
    }
    _PRESETS = {"dradjat2025": _PAPER, "dradjat2025-code": {**_PAPER, "dropout": 0.2}}

    _SHARED = (
        *("hidden_layer_sizes", "dropout", "weight_decay", "schedule", "batch_size"),
        *("n_iter_no_change", "tol", "device", "precision"),
        *("random_state", "verbose"),
    )

    _parameter_constraints: dict = {
        **{name: BaseSSLTransformer._parameter_constraints[name] for name in _SHARED},
        "encoder": [HasMethods(["fit", "transform"]), None],
        "mode": [StrOptions({"frozen", "unfrozen"})],
        "head": [StrOptions({"linear", "pooled", "sgd"}), HasMethods(["fit", "predict"])],
        "lr": [POSITIVE, StrOptions({"auto"})],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "max_epochs": [COUNT],
        "batch_norm": [StrOptions({"auto", "stored", "batch"})],
        "validation_fraction": [SHARE],
        "class_weight": [StrOptions({"sqrt", "balanced"}), dict, None],
        "unlabeled_label": [Integral, str, None],
        "memory": [None, str, HasMethods(["cache"])],
    }

    def __init__(
        self,
        encoder=None,
        *,
        mode="unfrozen",
        head="pooled",
        hidden_layer_sizes=(256, 256, 256, 256),
        dropout=0.0,
        lr="auto",
        weight_decay=0.01,
        schedule="one-cycle",
        batch_size=32,
        max_epochs=30,
        batch_norm="auto",
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=30,
        tol=0.0,
        class_weight="sqrt",
        unlabeled_label=None,
        memory=None,
        device="auto",
        precision="auto",
        random_state=None,
        verbose=0,
    ):
        self.encoder = encoder
        self.mode = mode
        self.head = head
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.batch_norm = batch_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.unlabeled_label = unlabeled_label
        self.memory = memory
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @share_of_processors()
    def fit(self, X, y, sample_weight=None, *, X_unlabeled=None):
        """Fit the classifier, and pretrain its encoder if that is unfitted.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,)
            Labels. Samples with `unlabeled_label`, or with a missing value where `y` is an object
            array, serve pretraining only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the labelled samples, on top of the class weights; pretraining has none.
            A labelled sample of weight 0, or of a class of weight 0, serves pretraining only.
        X_unlabeled : matrix or list of matrices with n_features columns, default=None
            More profiles for an unfitted encoder, and for a head that takes them. In a list no
            splitter ever cuts them; a bare matrix with as many rows as `X` it would. Through a
            Pipeline's `transform_input` pass one matrix or a tuple of them: scikit-learn takes a
            list for one matrix there.

        Returns
        -------
        self : SSLClassifier
            The fitted classifier.

        Raises
        ------
        ValueError, TypeError
            If data or parameters are unusable; the message names cause, numbers and cure.
        """
        check_sizes(self, "hidden_layer_sizes")
        encoder = self._start_encoder()
        check_encoder(encoder, self.mode)
        check_head(self, sample_weight)
        resolve_device(self.device)
        bare = getattr(encoder, "estimator", encoder)  # out of its FrozenEstimator
        layer = getattr(bare, "layer", None)
        matrix = check_X(self, X, reset=True, layer=layer)
        y, labelled = check_labels(y, self.unlabeled_label)
        check_consistent_length(matrix, labelled)
        check_classes(y, labelled)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, matrix, ensure_non_negative=True)
        of_classes = self.class_weight if isinstance(self.head, str) else None
        y, rows, sample_weight = with_weight(y, np.flatnonzero(labelled), sample_weight, of_classes)
        for_head = takes_unlabeled(self)
        unlabelled = X_unlabeled is not None or not labelled.all()
        if self.encoder is None and unlabelled and not for_head:
            raise ValueError(
                "Unlabelled samples are of no use with encoder=None, which pretrains nothing, and "
                f"mode={self.mode!r} with head={self.head!r}, which takes none. Pass an unfitted "
                "pretrainer, such as encoder=ScarfTransformer(), or mode='frozen' with "
                "head='pooled'."
            )

        fitted = is_fitted(self.encoder)
        if fitted and not for_head and X_unlabeled is not None:
            warn_user("X_unlabeled is not used: the encoder is fitted already.")
        more: list = []
        if for_head or not isinstance(encoder, BaseSSLTransformer):
            more = check_X_unlabeled(self, X_unlabeled, layer=layer)
        if self.head == "pooled" and not isinstance(bare, BaseSSLTransformer):
            check_values(self, [matrix, *more])
        pretrains = not fitted and self.encoder is not None
        task = Task.root(self, 1 + pretrains, X=X, y=y)
        encoder = fit_encoder(
            encoder,
            X,
            matrix,
            # Our own pretrainers take them as the user gave them, names and all.
            X_unlabeled if isinstance(encoder, BaseSSLTransformer) else more,
            memory=self.memory,
            random_state=self.random_state,
            task=task,
        )
        if fitted and isinstance(encoder, BaseSSLTransformer):
            check_X(encoder, X, reset=False, layer=layer)
        pool = _embedded(encoder, X_unlabeled, more) if for_head else None
        if pool is not None and not labelled.all():
            others = np.flatnonzero(~labelled)
            Z = transform(encoder, _rows_of(X, others), matrix[others])
            pool.append((matrix[others], Z))
        if len(rows) < len(labelled):
            X, matrix = _rows_of(X, rows), matrix[rows]
        self.classes_ = np.unique(y)
        finished = finish(self, encoder, X, matrix, y, sample_weight, pool, task)
        self.encoder_, self.head_, self.history_ = finished.encoder, finished.head, finished.history
        self._n_embedding, self.linear_path_ = finished.n_embedding, finished.linear_path
        self.out_of_fold_curve_ = finished.curve
        self.n_iter_ = len(self.history_)
        self.loss_curve_ = [epoch["loss"] for epoch in self.history_]
        self.validation_loss_curve_ = None
        if self.history_ and "validation_loss" in self.history_[0]:
            self.validation_loss_curve_ = [e["validation_loss"] for e in self.history_]
        task.end(dict)
        return self

    def transform(self, X):
        """Embed samples with the fitted (in unfrozen mode fine-tuned) encoder.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            The embedding.
        """
        matrix = self._checked(X)
        return with_obs_names(self, transform(self.encoder_, X, matrix), X)

    def predict(self, X):
        """Return the predicted label of every sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels, of `classes_`.
        """
        return self._on_embedding("predict", X)

    @_head_has("predict_proba")
    def predict_proba(self, X):
        """Return the probability of every class.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return self._on_embedding("predict_proba", X)

    @_head_has("decision_function")
    def decision_function(self, X):
        """Return the scores behind the prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log odds of the second.
        """
        return self._on_embedding("decision_function", X)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy on the labelled samples.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order.
        y : array-like of shape (n_samples,)
            True labels; unlabelled samples are left out.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of correct predictions.
        """
        y, labelled = check_labels(y, self.unlabeled_label)
        if not len(y):
            raise ValueError(f"y holds no labelled sample: all {len(labelled):,} are unlabelled.")
        predicted = self.predict(X)
        check_consistent_length(predicted, labelled)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)[labelled]
        return accuracy_score(y, predicted[labelled], sample_weight=sample_weight)

    def set_params(self, **params):
        """Set parameters; those of a fitted encoder are refused.

        Parameters
        ----------
        **params
            Parameters of this classifier, or of its unfitted encoder as ``encoder__name``.

        Returns
        -------
        self : SSLClassifier
            The classifier.

        Raises
        ------
        ValueError
            For ``encoder__name`` of a fitted encoder, before anything is changed.
        """
        inner = sorted(name for name in params if name.startswith("encoder__"))
        if inner and params.get("encoder", self.encoder) is None:
            raise ValueError(f"{inner[0]} cannot be set: encoder is None and has no parameters.")
        if inner and is_fitted(params.get("encoder", self.encoder)):
            raise ValueError(
                f"{inner[0]} cannot be set: the encoder is fitted, is used as it is and would not "
                "be pretrained again. Pass an unfitted encoder, clone(encoder), to search over "
                "its parameters."
            )
        return super().set_params(**params)

    def __sklearn_clone__(self):
        copied = _clone_parametrized(self)
        if is_fitted(self.encoder):
            # A clone of the encoder would come unfitted, and be pretrained again in every fold.
            copied.encoder = self.encoder
        return copied

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self._n_embedding

    def _checked(self, X):
        check_is_fitted(self)
        return check_X(self, X, reset=False, layer=getattr(self.encoder_, "layer", None))

    def _on_embedding(self, method: str, X):
        matrix = self._checked(X)
        Z = transform(self.encoder_, X, matrix)
        predict, path = getattr(self.head_, method), self.linear_path_
        if path is None:
            return predict(Z)
        blocks = (slice(start, start + ROWS) for start in range(0, len(Z), ROWS))
        return np.concatenate([predict(path.features(matrix[rows], Z[rows])) for rows in blocks])

    # The parts of `fit`

    def _start_encoder(self):
        """Return the encoder to begin with: the user's, or one with random weights."""
        if self.encoder is not None:
            return self.encoder
        return UntrainedTransformer(self.hidden_layer_sizes, device=self.device)
