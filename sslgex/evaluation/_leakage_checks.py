"""What one step lets through, found by running it on perturbed input."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from ._leakage_held import (
    equal_to,
    fitted_parts,
    has_seen,
    that_hold_labels,
    variables_of_estimator,
    variables_of_function,
)
from ._leakage_labels import relabelled, spell
from ._leakage_report import Finding
from ._leakage_rows import difference, perturb, reordered, rows_of, unperturbed
from ._leakage_steps import Data, Step, apply, calling, first_that_runs, fit, respond, unfitted_copy

FACTORS = (2, 1)  # of perturbed values; a step that refuses twice the values gets other rows' only
PERMUTATIONS = 5  # of the test labels, where there is a single split
ATTEMPTS = 3  # at labels permuted such that the step accepts them
IN_PIPELINE = (
    "Fit it on the training rows: as an estimator with fit and transform in a Pipeline, "
    "cross-validated as a whole."
)
IN_FIT = "Learn in fit what it takes from the rows of transform."
AS_ARGUMENTS = "Hand no data to the constructor; fit gets the X and y of the training rows."
OUT_OF_X = "A new sample has no label: leave that column out of X."
UNFITTED = "Pass it unfitted, for each split to fit it, or fit it on other samples."


class Audited(NamedTuple):
    """What an audit of one step told.

    Attributes
    ----------
    X : array-like
        What the step makes of all rows.
    findings : list of Finding
        Its leaks.
    notes : list of str
        What cannot be told of parts of it.
    blind : list of str
        Why it cannot be told what the step lets through, if so.
    """

    X: Any
    findings: list[Finding]
    notes: list[str]
    blind: list[str]


def audit_function(step: Step, data: Data, rng) -> Audited:
    """Audit a callable on all rows."""
    held = variables_of_function(step.does)
    findings, notes = _fitted_before(step, list(held.values()), data)
    blind = _read_from_outside(step, held, data)
    X = unperturbed(data.X)
    with calling(step, "on the data as they are"):
        plain = apply(step, X, data.y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said once already
            again = apply(step, X, data.y)
    if difference(plain, again, np.arange(data.X.shape[0])):
        return Audited(plain, findings, notes, [*blind, _unseeded(step)])

    def run(X):
        return apply(step, X, data.y)

    other = _on_other_values(step, run, data.X, data.test, rng)
    changed = difference(plain, other, data.train)
    if changed:
        what = "values of the test rows change the training rows"
        findings.append(Finding(step.name, what, changed, IN_PIPELINE))
    else:
        # Otherwise this follows, and is cured along.
        findings += _transductive(step, run, plain, data.X, data.test, rng)
        if not difference(plain, other, data.test):
            blind.append(
                f"Step {step.name!r} returns the same test rows whatever it gets: if it hands out "
                "what was computed before, audit what computed that."
            )
    columns = data.columns_of_labels()

    def run_with_labels(order):
        return apply(step, relabelled(X, columns, order), reordered(data.y, order))

    findings += _label_leak(step, run_with_labels, data, rng)
    return Audited(plain, findings, notes, blind)


def audit_estimator(step: Step, data: Data, rng, *, is_last: bool) -> Audited:
    """Audit an estimator, fitted on the training rows.

    Test rows and their labels get into its fit only if it brings them along, so that another fit
    on perturbed ones is needed only there.
    """
    unfitted = unfitted_copy(step, data.seed)
    findings, notes = _fitted_before(step, unfitted, data)
    blind = _read_from_outside(step, variables_of_estimator(unfitted), data)
    with calling(step, "on the data as they are"):
        fitted = fit(step, data)
        plain = respond(fitted, data.X, data.params, is_last=is_last)

    def run(X):
        return respond(fitted, X, data.params_of(data.test), is_last=is_last)

    X_test = unperturbed(rows_of(data.X, data.test))
    rows = np.arange(len(data.test))
    with calling(step, "on the test rows"):
        of_test, again = run(X_test), run(X_test)
    if difference(of_test, again, rows):
        return Audited(plain, findings, notes, [*blind, _unseeded(step)])
    findings += _transductive(step, run, of_test, X_test, rows, rng)

    columns = data.columns_of_labels()
    if columns:
        of_test_alone = data._replace(X=X_test, train=rows[:0], test=rows, n_splits=1)
        findings += _label_leak(
            step,
            lambda order: run(relabelled(X_test, columns, order)),
            of_test_alone,
            rng,
            held_in=spell(data.X, columns),
            cure=OUT_OF_X,
        )

    held = unfitted.get_params()

    def run_with(name, value):
        does = clone(unfitted).set_params(**{name: value})
        fitted = fit(Step(step.name, does), data)
        return respond(fitted, data.X, data.params, is_last=is_last)

    for name in equal_to(data.X, held):
        profiles = held[name]
        same = run_with(name, unperturbed(profiles))
        again = partial(run_with, name)
        other = _on_other_values(step, again, profiles, data.test, rng)
        changed = difference(same, other, data.train)
        if changed:
            what = f"values of the test rows, held in {name}, change the training rows"
            findings.append(Finding(step.name, what, changed, AS_ARGUMENTS))
    for name in equal_to(data.y, held):
        findings += _label_leak(
            step,
            lambda order, name=name: run_with(name, reordered(held[name], order)),
            data,
            rng,
            held_in=name,
            cure=AS_ARGUMENTS,
        )
    return Audited(plain, findings, notes, blind)


def _on_other_values(step: Step, run: Callable, X, rows: np.ndarray, rng):
    """Return what a step makes of X with other values in some of the test rows."""
    attempts = (lambda k=k: run(perturb(X, rows, k, rng)) for k in FACTORS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return first_that_runs(step, "on test rows that hold other rows' values", attempts)


def _transductive(step: Step, run: Callable, plain, X, test: np.ndarray, rng) -> list[Finding]:
    """Return a finding if half of the test rows has an influence on the other half."""
    half, others = test[::2], test[1::2]
    if not len(others):
        return []
    changed = difference(plain, _on_other_values(step, run, X, half, rng), others)
    what = "a test row depends on the other test rows"
    return [Finding(step.name, what, changed, IN_FIT)] if changed else []


def _label_leak(
    step: Step, run: Callable, data: Data, rng, *, held_in: str = "", cure: str = IN_PIPELINE
) -> list[Finding]:
    """Return a finding if labels of the test rows have an influence on the output.

    What is given all labels before the split may use them without effect in permutations of the
    test rows' alone (the same genes are selected); hence all are permuted too. Of a single split it
    may rightly use the training labels: there other permutations of the test labels must do.
    """
    everywhere = np.arange(data.X.shape[0])
    plain = run(everywhere)
    where = f", held in {held_in}," if held_in else ""
    of_test, of_all = ("labels of the test rows", data.test), ("labels of all rows", everywhere)
    for labels, part in [of_test, of_all] if data.n_splits > 1 else [of_test] * PERMUTATIONS:
        attempts = [lambda p=part: run(data.order(rng, p))] * ATTEMPTS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = first_that_runs(step, f"when the {labels} were permuted", attempts)
        changed = [difference(plain, other, rows) for rows in (data.train, data.test)]
        if any(changed):
            evidence = {
                "training rows changed": changed[0].get("rows changed", 0),
                "test rows changed": changed[1].get("rows changed", 0),
            }
            sizes = [found["by up to"] for found in changed if "by up to" in found]
            if sizes:
                evidence["by up to"] = max(sizes)
            what = f"{labels}{where} change its output"
            return [Finding(step.name, what, evidence, cure)]
    return []


def _read_from_outside(step: Step, variables: dict, data: Data) -> list[str]:
    """Return a note for each variable that holds the data again."""
    same = [*equal_to(data.y, variables), *equal_to(data.X, variables)]
    holding = [name for name in that_hold_labels(data.y, variables) if name not in same]
    notes = [(name, "equals its input") for name in same]
    notes += [(name, "holds the labels") for name in holding]
    return [
        f"Step {step.name!r} reads {name!r} from outside, which {what}: what it does with that "
        "cannot be told. Let it use its arguments."
        for name, what in notes
    ]


def _fitted_before(step: Step, held, data: Data) -> tuple[list, list[str]]:
    """Return a finding for each part fitted on the test rows, a note where that cannot be told."""
    findings, notes = [], []
    y = np.asarray(data.y)
    for part in fitted_parts(held):
        kind = type(part).__name__
        seen = has_seen(part, data.X, y, data.train, data.seed)
        if seen == "all" or (seen == "training" and data.n_splits > 1):
            what = f"its fitted {kind} has seen the test rows"
            rows = len(y) if seen == "all" else len(data.train)
            if seen == "training":
                what += " of the other splits"
            findings.append(Finding(step.name, what, {"fitted on rows": rows}, UNFITTED))
        elif seen is None:
            notes.append(
                f"Step {step.name!r} holds a {kind} that is fitted already; whether on test rows "
                "cannot be told. Make sure that it was fitted on other samples."
            )
    return findings, notes


def _unseeded(step: Step) -> str:
    return (
        f"Step {step.name!r} returns other numbers each time it gets the same: what it lets "
        "through cannot be told. Seed it."
    )
