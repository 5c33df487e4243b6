"""Documentation that classes share, written once; here that of the three transformers."""

import inspect

PARAMETERS = """\
embedding : {"all", "last"}, default="all"
    What `transform` returns. A residual encoder: its output, as wide as its stem, in either
    case. Of an "mlp", "all": the standardised pre-activations (BatchNorm outputs before the
    affine map and the ReLU) of every block side by side; "last": the last block's output, as
    published.
standardize : bool, default=True
    Centre and scale every gene with the statistics of `fit`. A gene that is constant in `fit`
    is 0 ever after. Harmless after a `StandardScaler`.
layer : str, default=None
    Which layer of an AnnData to read; None reads its ``X``.
dropout : float in [0, 1), default=0.0
    Probability of a hidden unit to be dropped in training.
lr : float, default=1e-3
    Learning rate of AdamW, at its height if the schedule varies it.
weight_decay : float, default=0.01
    AdamW's decoupled weight decay; 0 makes it Adam.
schedule : {"one-cycle", "constant"}, default="one-cycle"
    Course of the learning rate: up over the first tenth of the steps and down to 0 by a cosine,
    or constant. `partial_fit`, which knows no end, ignores it: there it is constant.
batch_size : int, default=256
    Samples per step; clipped to the number of samples. A last batch of one sample joins the one
    before.
max_epochs : int or "auto", default="auto"
    Passes over the samples. "auto": 75, or as many as make 300 steps if those are more or 1,000
    if those are fewer, but at least 10; compared on pools of 150 to 2,350 samples.
early_stopping : bool, default=False
    {early_stopping}
validation_fraction : float in (0, 1), default=None
    Share of the samples held out of training to record `validation_loss_curve_`, on corruptions
    drawn once. None holds none out, or a tenth where `early_stopping` needs it.
n_iter_no_change : int, default=10
    Epochs without a lower validation loss before early stopping.
tol : float, default=0.0
    By how much the validation loss must fall to count as lower.
device : str, default="auto"
    "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps". In training a CUDA
    GPU keeps the standardised samples in its memory if they take, at 4 bytes a value, half of
    what is free or less.
precision : {"auto", "float32", "bfloat16"}, default="auto"
    Of training's matrix products (autocast). "auto" is bfloat16 on CUDA devices that compute in
    it and float32 elsewhere; `transform` is always float32.
random_state : int, RandomState instance or None, default=None
    Seed of weights, corruption, batches, dropout and hold-out. Global generators are left
    alone; only None draws one number from numpy's, as everywhere in scikit-learn. A CUDA GPU
    draws dropout itself, and batches and corruption of samples that it keeps: the same seed
    gives other draws there than on a CPU.
verbose : int, default=0
    1 prints a line per epoch. For progress bars see `set_callbacks`.
warm_start : bool, default=False
    Whether a further `fit` starts from the encoder at hand, and from the heads that it was
    trained with as long as they are there: pickles, copies and saved files leave them out, and
    new ones come with a warning. `mean_`, `scale_` and `components_` stay those of the first
    fit, for which the weights are; optimiser, schedule and `history_` are the new fit's own.
    Other genes or another architecture are refused.
checkpoint : path, default=None
    File to keep the training in. After the process has died, `fit` with the same data and
    parameters, in a new process, goes on after the last epoch in the file; on the same
    machine's CPU, with as many threads, the result is to the bit that of a fit without
    interruption. A CUDA GPU goes on with its draws, too; where another kind of device goes on,
    what that one draws begins anew. A file of other data, parameters or versions of sslgex,
    torch or numpy is refused, and so is one of the same data stored on disk in other blocks,
    of which other batches are mixed. It stays when training has ended, so that the same fit
    then returns without training; delete it to train anew. Without a `random_state` the seed
    is that in the file. Two fits need two files. It holds weights, those of the heads and the
    optimiser's moments included, and no samples; it takes two to four times the memory of the
    weights. Reading it runs no code.
checkpoint_every : int or str, default="10 minutes"
    When to write it, at the end of an epoch: after every so many epochs, or after a time such
    as "90 seconds", "10 minutes" or "1.5 hours". The end of training is always written."""

FIRST_PARAMETERS = """\
hidden_layer_sizes : sequence of int, default=(256, 256, 256)
    Width of each block of the encoder.
architecture : {"residual", "mlp"}, default="residual"
    "residual": a linear stem, started from the first 64 principal components of the
    standardised genes and learning at a tenth of `lr`, and blocks that add
    Linear(BatchNorm(ReLU(Linear(BatchNorm(h))))) to their input h, the last layer started at
    zero: pretraining departs from the components. "mlp": blocks Linear - BatchNorm - ReLU from
    random weights, as published."""

ATTRIBUTES = """\
encoder_ : torch.nn.Module
    The pretrained encoder, on the CPU; called on standardised genes it returns the embedding.
    Its BatchNorm statistics are those of the clean training samples, re-estimated when training
    had ended.
mean_ : ndarray of shape (`n_features_in_`,), float64, or None
    What `standardize` subtracts; None if ``standardize=False``.
scale_ : ndarray of shape (`n_features_in_`,), float64, or None
    What it divides by: infinite for genes constant in `fit`. None if ``standardize=False``.
components_ : ndarray of shape (n_components, `n_features_in_`), float32
    The first 128 principal axes of those genes, or as many as there are: the linear path of
    ``SSLClassifier(head="pooled")``.
loss_curve_ : list of float
    Mean pretext loss of every epoch.
validation_loss_curve_ : list of float or None
    The same on the held-out samples; None if none were held out.
history_ : list of dict
    Per epoch "epoch", "loss", "validation_loss" (if any), "lr" (of the last step), "seconds"
    and "spread", a gauge of collapse: the variance of the directions of the representations of
    the last batch, 0 when all samples point the same way, at most 1.
n_iter_ : int
    Number of epochs; every call of `partial_fit` is one more.
n_samples_seen_ : int
    Number of samples that the last `fit` took, plus those of every call of `partial_fit` since.
n_features_in_ : int
    Number of genes.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the genes; only if `X` had them."""

CAN_STOP = """Stop when the loss on held-out samples has not fallen for `n_iter_no_change` epochs,
    and go back to the best weights."""
CANNOT_STOP = """Refused if True: BYOL's loss falls for ever against its own moving target and tells
    nothing of the embedding. Watch "spread" in `history_` instead."""


def shared_documentation(cls: type) -> type:
    """Fill the shared parameters and attributes into the class's docstring."""
    stopping = CANNOT_STOP if cls.__name__.startswith("Byol") else CAN_STOP
    texts = {
        "<first parameters>": FIRST_PARAMETERS,
        "<shared parameters>": PARAMETERS.replace("{early_stopping}", stopping),
        "<shared attributes>": ATTRIBUTES,
    }
    fill(cls, texts)
    return cls


def fill(cls: type, texts: dict[str, str]) -> None:
    """Put texts in the places of their marks in the class's docstring."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    for mark, text in texts.items():
        doc = doc.replace(mark, text)
    cls.__doc__ = doc
