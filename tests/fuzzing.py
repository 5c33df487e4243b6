"""Changing files at random, and what may come of reading them."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# One seed an input: what it does follows from it, so that drawing costs next to nothing.
seeds = st.integers(0, 2**64 - 1).map(random.Random)


def inputs(n):
    """Settings of a test of so many inputs, the same in every run."""
    return settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def only_our_errors(path) -> Iterator[None]:
    """Let an error pass that names the file and says more; warnings are errors in all tests."""
    try:
        yield
    except (ValueError, OSError) as error:
        said = str(error)
    else:
        return
    assert str(path) in said, said
    assert len(said) > len(str(path)) + 20, said


def changed_bytes(rng, content: bytes) -> bytes:
    """Return bytes of which some, more at the beginning, are others, and perhaps the end lacks."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        end = len(changed) if rng.random() < 0.3 else min(len(changed), 300)
        changed[rng.randrange(end)] = rng.randrange(256)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


def changed_tree(rng, tree, values):
    """Return a JSON value of which one part is another value, a part from elsewhere, or gone."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    place, other = rng.choice(places), rng.choice(places)
    new = copy.deepcopy(rng.choice(values) if rng.random() < 0.5 else _at(tree, other))
    if not place:
        return new
    parent = _at(tree, place[:-1])
    if rng.random() < 0.25:
        del parent[place[-1]]
    else:
        parent[place[-1]] = new
    return tree


def _places(tree, place=()) -> Iterator[tuple]:
    yield place
    parts = (
        tree.items() if isinstance(tree, dict) else enumerate(tree if type(tree) is list else ())
    )
    for name, part in parts:
        yield from _places(part, (*place, name))


def _at(tree, place: tuple):
    for name in place:
        tree = tree[name]
    return tree
