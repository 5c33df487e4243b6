"""A sweep: pretraining once per split, then one fit per entry and labelled subset."""

from collections.abc import Callable
from dataclasses import dataclass
from pickle import PicklingError

import joblib
import numpy as np
from sklearn.exceptions import FitFailedWarning

from .._training.warning import warn_user
from ._fits import Data, Pretrained, fit_and_predict, pretrain, to_pretrain
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
        Numbers or proportions of labelled samples.
    subsets : list of list of list of ndarray
        Rows of the labelled samples, per split, size and draw.
    fit : callable
        Fits and predicts, as `fit_and_predict` does.
    """

    data: Data
    seed: int
    splits: list[tuple[np.ndarray, np.ndarray]]
    sizes: np.ndarray
    subsets: list[list[list[np.ndarray]]]
    fit: Callable = fit_and_predict

    def run(self, entries: dict, runner: Runner) -> dict:
        """Make them; return the fields of `LabelEfficiencyResults` that come of it."""
        content = self.data.content()
        encoders = self._pretrain(entries, runner, content)
        fits = self._fit(entries, encoders, runner, content)
        _warn_of_failures(fits, self.sizes)
        return {
            "outcomes": {name: self._outcomes(fits[name]) for name in entries},
            "pretrain_seconds": {
                name: np.array([encoder.seconds for encoder in encoders[name]]) for name in entries
            },
            "fit_seconds": {
                name: np.array([[[f.seconds for f in draws] for draws in s] for s in fits[name]])
                for name in entries
            },
            "loss_curves": {
                name: [list(getattr(e.encoder, "loss_curve_", [])) for e in encoders[name]]
                for name in entries
            },
            # Whatever else was pretrained on: a larger pool may be compared with a smaller one.
            "content": joblib.hash(
                [self.data._replace(more=[]).content(), self.splits, self.subsets]
            ),
        }

    def _pretrain(self, entries: dict, runner: Runner, content: str) -> dict[str, list]:
        """Return, per entry and split, a `Pretrained` or a `Failure`."""
        keys: dict[str, str] = {}
        batches: dict[tuple, list] = {}
        for name, entry in entries.items():
            encoder = to_pretrain(entry)
            if encoder is None:
                continue
            # Entries with equal encoders, such as one frozen and one unfrozen, share them.
            keys[name] = key = hash_of(encoder, name, runner)
            for s, (train, _) in enumerate(self.splits):
                seed = seed_of(self.seed, s)
                task = (content, key, joblib.hash(train), seed), (encoder, self.data, train, seed)
                batches[key, s] = [task]
        done = runner.run(pretrain, list(batches.values()), "pretraining")
        found = {where: batch[0] for where, batch in zip(batches, done, strict=True)}
        n_splits = len(self.splits)
        return {
            name: [
                found[keys[name], s] if name in keys else NOT_PRETRAINED for s in range(n_splits)
            ]
            for name in entries
        }

    def _fit(self, entries: dict, encoders: dict, runner: Runner, content: str) -> dict:
        """Return, per entry, split, size and draw, a `Fit` or a `Failure`."""
        batches: dict[tuple, list] = {}
        for name, entry in entries.items():
            key = hash_of(entry, name, runner)
            for s, (train, test) in enumerate(self.splits):
                if isinstance(encoders[name][s], Failure):
                    continue
                encoder = encoders[name][s].encoder
                rows = joblib.hash([train, test])
                for k, size in enumerate(self.sizes):
                    batches[name, s, k] = batch = []
                    for draw, labelled in enumerate(self.subsets[s][k]):
                        seed = seed_of(self.seed, s, size, draw)
                        where = joblib.hash(labelled)
                        batch.append(
                            (
                                (content, key, rows, where, seed_of(self.seed, s), seed),
                                (entry, encoder, self.data, train, labelled, test, seed),
                            )
                        )
        done = dict(zip(batches, runner.run(self.fit, list(batches.values()), "fits"), strict=True))
        return {
            name: [
                [
                    done.get((name, s, k), [encoders[name][s]] * len(subsets))
                    for k, subsets in enumerate(self.subsets[s])
                ]
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
