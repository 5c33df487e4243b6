"""The architecture sweep: what pretraining gains at every depth and width of the encoder."""

from dataclasses import dataclass, field

import numpy as np

from ._comparison import AREAS, compare
from ._draws import draw_subsets, resolve_sizes
from ._metrics import Outcome
from ._results import LabelEfficiencyResults, require_pandas
from ._selection import check_fraction, choose, hold_out, with_selected
from ._setup import check_n_draws, check_scoring, set_up
from ._shapes import check_counts, check_methods, entry_name, generate, name_baselines
from ._sweep import Sweep


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ArchitectureResults:
    """Predictions of every method, and of its baseline, at every depth and width.

    Attributes
    ----------
    results : LabelEfficiencyResults
        Over the test samples. A method's entries are called "SCARF, 4 x 256" (depth x width), those
        of the same network without pretraining "baseline, 4 x 256". With ``select="validation"``
        there are "SCARF, selected" and "baseline, selected" too, whose outcomes, seconds and losses
        are in every split those of the architecture in `selected`.
    validation : LabelEfficiencyResults or None
        The same over the validation samples, without the selected ones.
    methods : list of str
        Names of the methods, in the order given.
    baselines : dict of str to str
        Of every method what its baseline is called: "baseline", or, where the methods differ in
        more than the encoder, "baseline of SCARF" and so on.
    depths, widths : list of int
        What was swept, ascending.
    selected : dict of str to list of (int, int), or None
        Of every method and baseline the depth and width chosen in each split.
    """

    results: LabelEfficiencyResults
    validation: LabelEfficiencyResults | None
    methods: list[str]
    baselines: dict[str, str]
    depths: list[int]
    widths: list[int]
    selected: dict[str, list[tuple[int, int]]] | None
    _kept: dict = field(default_factory=dict)

    def gain(self, method, metric=None, area="mean", lo=None, hi=None, level=0.95):
        """Return what pretraining gains over the same network without, at every architecture.

        Parameters
        ----------
        method : str
            One of `methods`.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of `scoring`.
        area : {"mean", "integral", "relative"}, default="mean"
            What the area between the two curves over label sizes is divided by, as in `compare`.
        lo, hi : int, float or None, default=None
            Range of label sizes; None: all of them.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals, for each architecture by itself.

        Returns
        -------
        gain : ndarray of shape (n_depths, n_widths, 3)
            Gain, lower and upper end of its interval; NaN where all fits of one side failed.

        Raises
        ------
        ValueError
            For an unknown method, and for what `compare` refuses.
        """
        if method not in self.methods:
            raise ValueError(f"There is no method {method!r}; there are {self.methods}.")
        how = method, metric, area, lo, hi, level
        if how not in self._kept:
            rows = [[self._cell(d, w, *how) for w in self.widths] for d in self.depths]
            self._kept[how] = np.array(rows)
        return self._kept[how].copy()

    def to_frame(self):
        """Return one row per method and architecture.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "method", "depth", "width", "gain" (the mean one, of the first metric), "low"
            and "high" (95 % interval) and, with ``select="validation"``, "n_selected", the splits
            in which the architecture was chosen.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = require_pandas("to_frame")
        index = pd.MultiIndex.from_product(
            [self.methods, self.depths, self.widths], names=["method", "depth", "width"]
        )
        frame = index.to_frame(index=False)
        gains = np.concatenate([self.gain(method).reshape(-1, 3) for method in self.methods])
        frame[["gain", "low", "high"]] = gains
        if self.selected is not None:
            frame["n_selected"] = [self.selected[m].count((d, w)) for m, d, w in index]
        return frame

    def _cell(self, depth, width, method, metric, area, lo, hi, level) -> tuple:
        """Return gain and interval of one architecture."""
        a, b = (entry_name(name, depth, width) for name in (method, self.baselines[method]))
        scores = self.results.scores(self.results.scoring[0] if metric is None else metric)
        if any(np.isnan(scores[name]).all() for name in (a, b)):
            return np.nan, np.nan, np.nan
        found = compare(self.results, a, b, metric=metric, level=level, lo=lo, hi=hi, area=area)
        return found.gain, *found.gain_interval

    def __repr__(self) -> str:
        found, sizes = self.results, self.results.sizes
        n_test = len(np.unique(np.concatenate([test for _, test in found.splits])))
        names = [f"{method}, width {width}" for method in self.methods for width in self.widths]
        first = max(map(len, [*names, "depth"]))
        gains = np.concatenate([self.gain(method)[..., 0].T for method in self.methods])
        lines = [
            f"Architecture sweep: {len(found.splits)} split{'s' * (len(found.splits) > 1)}, "
            f"{found.n_draws} draws each, {n_test:,} test samples",
            f"{found.scoring[0]}, {AREAS['mean']} from {sizes[0]:g} to {sizes[-1]:g} labels over "
            "the same network without pretraining",
            f"{'depth':<{first}}" + "".join(f"{depth:9d}" for depth in self.depths),
            *(
                f"{name:<{first}}" + "".join(f"{gain:+9.3f}" for gain in row)
                for name, row in zip(names, gains, strict=True)
            ),
        ]
        if self.selected is None:
            lines.append(
                "The best of these is the best by the test samples, and looks better than it is: "
                "select='validation' chooses without them."
            )
            return "\n".join(lines)
        lines.append("selected by validation samples in every split, of both:")
        for method in self.methods:
            chosen = compare(found, f"{method}, selected", f"{self.baselines[method]}, selected")
            low, high = chosen.gain_interval
            gain = f"{chosen.gain:+9.3f} [{low:+.3f}, {high:+.3f}]"
            lines.append(f"{method:<{first}}{gain}, {chosen.verdict}")
        return "\n".join(lines)


def architecture_sweep(
    estimators,
    X,
    y,
    *,
    label_sizes,
    depths=(2, 3, 4, 5, 6, 7, 8, 9, 10),
    widths=(256, 1024),
    select=None,
    validation_fraction=0.11,
    X_unlabeled=None,
    n_draws="auto",
    groups=None,
    scoring=None,
    cv=5,
    protocol="resample",
    n_jobs=None,
    random_state=None,
    error_score=np.nan,
    cache=None,
):
    """Measure what pretraining gains at every depth and width of the encoder.

    For every method, depth and width the encoder has `depth` blocks of `width` units. It is
    pretrained, fitted on few labels and tested as in `label_efficiency_curve`, and so is the same
    network without pretraining, with the same budget. The gain is the area between the two curves
    over numbers of labels, as `compare` has it: the study's fourth figure [1]_.

    Parameters
    ----------
    estimators : SSLClassifier or pretrainer, dict of str to such, or list of such pairs
        The methods: an `SSLClassifier` with an unfitted pretrainer, or a bare pretrainer, taken as
        ``SSLClassifier(pretrainer)``. The baseline of a method is its classifier with
        ``encoder=None``; methods that differ in the encoder only share it.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows; of an AnnData, its ``X``.
    y : array-like of shape (n_samples,)
        Labels.
    label_sizes : array-like of shape (n_sizes,), int or float
        Labelled samples: counts, or proportions of the training samples in (0, 1].
    depths : sequence of int, default=(2, 3, 4, 5, 6, 7, 8, 9, 10)
        Blocks of the encoder.
    widths : sequence of int, default=(256, 1024)
        Units of every block.
    select : {"validation"} or None, default=None
        "validation": in every split a part of the training samples is held out, and of every
        method, and of the baseline, the architecture with the best first metric on it is chosen, by
        the mean over the range of label sizes. Both parts are predicted by the same fits. None: all
        training samples are trained on, and nothing is chosen.
    validation_fraction : float in (0, 0.5], default=0.11
        Share of the training samples to hold out: one of as many folds as it takes, rounded (so
        1/2, 1/3, 1/4 ...), stratified; `groups` stay together. What is left is the training part
        that `label_sizes` go by. The study held out 1,029 of 8,320.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels, for pretraining; none of those in `X`.
    n_draws : int or "auto", default="auto"
        Labelled subsets per split and size, 2 or more. "auto": 20, or 5 with
        ``protocol="dradjat2025"``.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training, validation and test
        samples, and taken for one test sample by `compare`.
    scoring : str, list of str or None, default=None
        Metrics, as in `label_efficiency_curve`; the first is what is selected by.
    cv : int, splitter or iterable of (train, test), default=5
        Splits. A number of folds is stratified and shuffled, and keeps `groups` together.
    protocol : {"resample", "dradjat2025"}, default="resample"
        How labelled subsets are drawn, as in `label_efficiency_curve`.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, subsets, and of every entry and encoder without one of its own.
    error_score : "raise" or nan, default=nan
        nan: a fit that fails has NaN scores, with a warning, and the others go on.
    cache : str, path or None, default=None
        Directory that keeps every finished fit, as in `label_efficiency_curve`. Needs an integer
        `random_state`.

    Returns
    -------
    found : ArchitectureResults
        Gains by ``gain(method)`` and ``to_frame()``; printed, it is a table of them.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable, a fitted encoder among them; the message names cause, numbers
        and cure.

    See Also
    --------
    label_efficiency_curve : The curves that the gain lies between.
    compare : Does one entry beat another, and how sure is that?

    Notes
    -----
    Of many architectures the best on the test samples looks better than it is, and so does its
    gain. What a user could have chosen is judged with ``select="validation"``:
    ``compare(found.results, "SCARF, selected", "baseline, selected")``, where both sides had the
    same choice, and no test sample any part in it. The seconds of a selected entry are those of the
    chosen architecture; the choice took those of all.

    A pretrainer's ``architecture`` stays as it is. "mlp" is the study's: depth layers of width
    units, with and without pretraining. "residual" has depth blocks of width units *inside*, around
    a stem of 64 components, which the embedding is as wide as; its baseline, untrained, is the
    "mlp" all the same, so that the gain is of stem and pretraining together.

    References
    ----------
    .. [1] Dradjat, Hamidi, Bartet, Hanczar (2025). Self-supervised representation learning on
       gene expression data. Bioinformatics, btaf533.

    Examples
    --------
    >>> from sslgex import ScarfTransformer, SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import architecture_sweep
    >>> X, y = make_expression(n_samples=90, n_genes=30, return_X_y=True, random_state=0)
    >>> scarf = ScarfTransformer(architecture="mlp", projection_sizes=(8,), max_epochs=2)
    >>> methods = {"SCARF": SSLClassifier(scarf, mode="frozen", head="linear")}
    >>> found = architecture_sweep(
    ...     methods,
    ...     X,
    ...     y,
    ...     depths=[1, 2],
    ...     widths=[8],
    ...     label_sizes=[20],
    ...     n_draws=2,
    ...     cv=2,
    ...     random_state=0,
    ... )
    >>> found.gain("SCARF").shape
    (2, 1, 3)
    """
    methods = check_methods(estimators)
    depths, widths = check_counts(depths, "depths"), check_counts(widths, "widths")
    check_fraction(validation_fraction)
    if select not in (None, "validation"):
        raise ValueError(f"select must be 'validation' or None, got {select!r}.")
    n_draws = check_n_draws(n_draws, protocol)
    if n_draws == 1:
        raise ValueError("A gain from one draw of labels has no interval: take n_draws=2 or more.")
    scoring = check_scoring(scoring, methods)
    data, seed, splits, runner = set_up(
        X,
        y,
        X_unlabeled=X_unlabeled,
        groups=groups,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        error_score=error_score,
        cache=cache,
    )
    baselines = name_baselines(methods, runner)
    entries = generate(methods, baselines, depths, widths)
    # Of every split the training samples, those held out of them (none or some) and the test ones.
    parts = [(train, train[:0], test) for train, test in splits]
    if select == "validation":
        parts = [
            (*hold_out(s, train, data, validation_fraction, seed), test)
            for s, (train, test) in enumerate(splits)
        ]
    sizes, n_labels = resolve_sizes(label_sizes, [len(train) for train, _, _ in parts])
    together = [(train, np.concatenate(tested)) for train, *tested in parts]
    subsets = draw_subsets(
        data.y, data.classes, together, sizes, n_labels, n_draws, seed=seed, protocol=protocol
    )
    swept = Sweep(data, seed, together, sizes, subsets).run(entries, runner)

    def over(which: int) -> LabelEfficiencyResults:
        """Return the results over the validation (1) or the test samples (2)."""
        splits = [(part[0], part[which]) for part in parts]
        columns = [
            slice(None, len(held)) if which == 1 else slice(len(held), None) for _, held, _ in parts
        ]
        outcomes = {
            name: [
                Outcome(*(values[..., cut] for values in outcome))
                for outcome, cut in zip(found, columns, strict=True)
            ]
            for name, found in swept["outcomes"].items()
        }
        return LabelEfficiencyResults(
            entries=list(entries),
            label_sizes=sizes,
            n_labels=n_labels,
            n_draws=n_draws,
            scoring=scoring,
            protocol=protocol,
            classes=data.classes,
            y=data.y,
            groups=data.groups,
            splits=splits,
            subsets=subsets,
            **swept
            | {
                "outcomes": outcomes,
                "content": Sweep(data, seed, splits, sizes, subsets).content(),
            },
        )

    results, validation, selected = over(2), None, None
    if select == "validation":
        validation = over(1)
        names = dict.fromkeys([*methods, *baselines.values()])
        selected = {name: choose(validation, name, depths, widths) for name in names}
        results = with_selected(results, selected)
    return ArchitectureResults(
        results=results,
        validation=validation,
        methods=list(methods),
        baselines=baselines,
        depths=depths,
        widths=widths,
        selected=selected,
    )
