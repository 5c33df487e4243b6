"""A sweep: pretraining once per split, then one fit per entry and labelled subset."""

from collections.abc import Callable
from dataclasses import dataclass
from pickle import PicklingError

import joblib
import numpy as np
from sklearn.exceptions import FitFailedWarning

from .._training.warning import warn_user
from ._fits import Data, Pool, Pretrained, fit_and_predict, pretrain, to_pretrain, wants_unlabeled
from ._identity import identity
from ._metrics import Outcome
from ._runner import Failure, Runner

NOT_PRETRAINED = Pretrained(None, 0.0)


@dataclass(frozen=True)
class Sweep:
    """All fits to be made.

    Attributes
    ----------
    data : Data
        The samples.
    seed : int
        Of everything random.
    splits : list of (train, test)
        Rows of the samples.
    sizes : ndarray of shape (n_sizes,)
        Numbers or proportions of labelled samples, or whatever else the curve goes along.
    subsets : list of list of list of ndarray
        Rows of the labelled samples, per split, size and draw.
    fit : callable
        Fits and predicts, as `fit_and_predict` does.
    pools : list of list of Pool or None
        What is there without labels, per split and size. None: all of it at every size.
    label_size : float or None
        Number or proportion of labelled samples at every size of a curve along something else.
    """

    data: Data
    seed: int
    splits: list[tuple[np.ndarray, np.ndarray]]
    sizes: np.ndarray
    subsets: list[list[list[np.ndarray]]]
    fit: Callable = fit_and_predict
    pools: list[list[Pool]] | None = None
    label_size: float | None = None

    def run(self, entries: dict, runner: Runner) -> dict:
        """Make them; return the fields of `CurveResults` that come of it."""
        content = self.data.content()
        with runner.sharing(self.data) as data:
            encoders = self._pretrain(entries, runner, content, data)
            fits = self._fit(entries, encoders, runner, content, data)
        _warn_of_failures(fits, self.sizes)
        curves = {
            name: [[list(getattr(e.encoder, "loss_curve_", [])) for e in s] for s in encoders[name]]
            for name in entries
        }
        if self.pools is None:
            curves = {name: [split[0] for split in found] for name, found in curves.items()}
        return {
            "outcomes": {name: self._outcomes(fits[name]) for name in entries},
            "pretrain_seconds": {
                name: np.array([sum(e.seconds for e in split) for split in encoders[name]])
                for name in entries
            },
            "fit_seconds": {
                name: np.array([[[f.seconds for f in draws] for draws in s] for s in fits[name]])
                for name in entries
            },
            "loss_curves": curves,
            "content": self.content(),
        }

    def content(self) -> str:
        """Return a hash of what results must have in common to be compared."""
        # Whatever else was pretrained on: a larger pool may be compared with a smaller one.
        labelled = self.data._replace(more=[]).content()
        parts = [labelled, self.splits, self.subsets]
        return joblib.hash(parts if self.pools is None else [*parts, self.pools])

    def _pools(self, s: int) -> list[Pool]:
        """Return the pool of every size, or the one of all sizes."""
        return [Pool(self.splits[s][0])] if self.pools is None else self.pools[s]

    def _pretrain(self, entries: dict, runner: Runner, content: str, data) -> dict[str, list]:
        """Return, per entry, split and pool, a `Pretrained` or a `Failure`."""
        keys: dict[str, str] = {}
        batches: dict[tuple, list] = {}
        for name, entry in entries.items():
            encoder = to_pretrain(entry)
            if encoder is None:
                continue
            # Entries with equal encoders, such as one frozen and one unfrozen, share them.
            keys[name] = key = hash_of(encoder, name, runner)
            for s in range(len(self.splits)):
                seed = seed_of(self.seed, s)
                for p, pool in enumerate(self._pools(s)):
                    what = content, key, joblib.hash(pool), seed
                    batches[key, s, p] = [(what, (encoder, data, pool, seed))]
        done = runner.run(pretrain, list(batches.values()), "pretraining")
        found = {where: batch[0] for where, batch in zip(batches, done, strict=True)}
        return {
            name: [
                [
                    found[keys[name], s, p] if name in keys else NOT_PRETRAINED
                    for p in range(len(self._pools(s)))
                ]
                for s in range(len(self.splits))
            ]
            for name in entries
        }

    def _fit(self, entries: dict, encoders: dict, runner: Runner, content: str, data) -> dict:
        """Return, per entry, split, size and draw, a `Fit` or a `Failure`."""
        batches: dict[tuple, list] = {}
        failed: dict[tuple, list] = {}
        places: dict[tuple, tuple] = {}
        for name, entry in entries.items():
            key = hash_of(entry, name, runner)
            # What learns nothing without labels is the same whatever there is of them.
            level = to_pretrain(entry) is None and not wants_unlabeled(entry)
            for s, (train, test) in enumerate(self.splits):
                pools = [Pool(train)] if level else self._pools(s)
                for k, size in enumerate(self.sizes):
                    p = min(k, len(pools) - 1)
                    labels = size if self.label_size is None else self.label_size
                    places[name, s, k] = where = name, s, p, labels
                    encoder = encoders[name][s][p]
                    if isinstance(encoder, Failure):
                        failed[where] = [encoder] * len(self.subsets[s][k])
                    if where in batches or where in failed:
                        continue
                    batches[where] = batch = []
                    rows = joblib.hash([pools[p], test])
                    for draw, labelled in enumerate(self.subsets[s][k]):
                        seed = seed_of(self.seed, s, labels, draw)
                        what = content, key, rows, joblib.hash(labelled), seed_of(self.seed, s)
                        arguments = entry, encoder.encoder, data, pools[p], labelled, test
                        batch.append(((*what, seed), (*arguments, seed)))
        done = dict(zip(batches, runner.run(self.fit, list(batches.values()), "fits"), strict=True))
        done |= failed
        return {
            name: [
                [done[places[name, s, k]] for k in range(len(self.sizes))]
                for s in range(len(self.splits))
            ]
            for name in entries
        }

    def _outcomes(self, fits: list[list[list]]) -> list[Outcome]:
        """Return per split the outcomes of its fits as arrays (n_sizes, n_draws, n_test)."""
        stacked = []
        for (_, test), split in zip(self.splits, fits, strict=True):
            nothing = np.full(len(test), np.nan, dtype=np.float32)
            failed = Outcome(np.full(len(test), -1, dtype=np.int16), nothing, nothing)
            outcomes = [[getattr(fit, "outcome", failed) for fit in draws] for draws in split]
            stacked.append(
                Outcome(
                    *(np.array([[o[i] for o in draws] for draws in outcomes]) for i in range(3))
                )
            )
        return stacked


def seed_of(seed: int, *where) -> int:
    """Return the seed of a pretraining (split) or of a fit (split, size, draw)."""
    entropy = [seed, *(round(float(part) * 10**6) for part in where)]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)


def hash_of(estimator, name: str, runner: Runner) -> str:
    """Return what tells an estimator from others; raise where a cache needs more than there is."""
    try:
        return identity(estimator)
    except (PicklingError, AttributeError, TypeError, ValueError) as error:
        if runner.cache.folder is not None:
            raise ValueError(
                f"{name!r} cannot be told from others, which cache= must: {error}. Functions and "
                "classes of a module or a notebook can, a lambda or what a function defines cannot."
            ) from None
        return f"{id(estimator)}"


def _warn_of_failures(fits: dict, sizes: np.ndarray) -> None:
    """Warn of every entry with failed fits; raise if there is no other fit."""
    n_failed = n_fits = 0
    for name, splits in fits.items():
        cells = [
            (s, sizes[k], draw, fit)
            for s, split in enumerate(splits)
            for k, draws in enumerate(split)
            for draw, fit in enumerate(draws)
        ]
        failed = [cell for cell in cells if isinstance(cell[-1], Failure)]
        n_failed, n_fits = n_failed + len(failed), n_fits + len(cells)
        if failed:
            s, size, draw, failure = failed[0]
            warn_user(
                f"{name!r} failed in {len(failed)} of {len(cells)} fits, which count as NaN; the "
                f"first is split {s}, size {size:g}, draw {draw}: {failure.error}\n"
                "error_score='raise' shows the traceback.",
                FitFailedWarning,
            )
    if n_failed == n_fits:
        raise ValueError(f"All {n_fits} fits failed; the last one by {failed[-1][-1].error}")
