"""Methods and their baselines in every depth and width, as entries of one sweep."""

import numpy as np
from sklearn.base import clone

from ..base import BaseSSLTransformer
from ..classifier import SSLClassifier
from ._entries import check_entries
from ._runner import Runner
from ._sweep import hash_of


def entry_name(name: str, depth: int, width: int) -> str:
    """Return what a method or baseline of some shape is called."""
    return f"{name}, {depth} x {width}"


def check_methods(estimators) -> dict:
    """Return the methods by name; raise unless all are classifiers with an unfitted pretrainer."""
    methods = check_entries(
        estimators, wrap=True, unfitted="whose depth and width cannot be changed"
    )
    for name, method in methods.items():
        if not isinstance(method, SSLClassifier):
            raise TypeError(
                f"{name!r} is {method!r}, whose depth and width nobody can set: a method is a "
                "pretrainer or an SSLClassifier with one. Score others by label_efficiency_curve."
            )
        if method.encoder is None:
            raise ValueError(
                f"{name!r} has encoder=None, which pretrains nothing. Leave it out: the network "
                "without pretraining is the baseline of every method."
            )
        if not isinstance(method.encoder, BaseSSLTransformer):
            raise TypeError(
                f"{name!r} has {method.encoder!r} for its encoder, whose depth and width nobody "
                "can set: pass one of sslgex's pretrainers, bare."
            )
    return methods


def check_counts(counts, what: str) -> list[int]:
    """Return depths or widths, ascending, each once."""
    asked = np.atleast_1d(np.asarray(counts, dtype=object)).ravel().tolist()
    whole = all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in asked
    )
    if not asked or not whole:
        raise ValueError(f"{what} must hold positive integers, got {counts!r}.")
    return sorted({int(n) for n in asked})


def name_baselines(methods: dict, runner: Runner) -> dict[str, str]:
    """Return what every method's baseline is called; alike where their settings are."""
    bare = {name: clone(entry).set_params(encoder=None) for name, entry in methods.items()}
    settings = {name: hash_of(entry, name, runner) for name, entry in bare.items()}
    first: dict[str, str] = {}
    for name, setting in settings.items():
        first.setdefault(setting, name)
    names = {
        name: "baseline" if len(first) == 1 else f"baseline of {first[setting]}"
        for name, setting in settings.items()
    }
    taken = sorted(set(methods) & set(names.values()))
    if taken:
        raise ValueError(
            f"{taken[0]!r} is what the network without pretraining is called: rename the method."
        )
    return names


def generate(methods: dict, baselines: dict, depths: list[int], widths: list[int]) -> dict:
    """Return the entries: all methods, then all baselines, in every shape."""
    entries = {}
    for name, entry in methods.items():
        for depth in depths:
            for width in widths:
                made = clone(entry).set_params(encoder__hidden_layer_sizes=(width,) * depth)
                entries[entry_name(name, depth, width)] = made
    for method, name in baselines.items():
        for depth in depths:
            for width in widths:
                made = clone(methods[method]).set_params(
                    encoder=None, hidden_layer_sizes=(width,) * depth
                )
                entries.setdefault(entry_name(name, depth, width), made)
    return entries
