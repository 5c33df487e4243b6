"""All that a training between two epochs consists of, as plain values and arrays.

Put into an engine of the same objective, sources and parameters, the training goes on to the bit as
if it had never stopped. What is drawn anew in every epoch or follows from the data is no part.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .stopping import EarlyStopping

Generator = np.random.Generator | torch.Generator
Moments = list[list[dict[str, np.ndarray]]]  # of every optimiser and parameter


def capture(engine) -> dict:
    """Return the state of an engine; arrays may share the memory of what they are of."""
    stopping = _early_stopping(engine)
    return {
        "weights": _arrays(engine.module_.state_dict()),
        "moments": moments_of(engine),
        "draws": {name: _state(generator) for name, generator in _generators(engine).items()},
        "history": engine.rows(),
        "stopped": bool(engine.stop_),
        "stopping": stopping and _with_arrays(stopping.state()),
    }


def restore(engine, state: dict) -> None:
    """Let an engine that has begun go on where `capture` was called.

    Raises
    ------
    KeyError, RuntimeError, ValueError
        If the state is not one of such an engine.
    """
    engine.module_.load_state_dict(_tensors(state["weights"]))
    restore_moments(engine, state["moments"])
    draws = state["draws"]
    for name, generator in _generators(engine).items():
        if name in draws:  # on another device others draw, and from their beginning
            _set_state(generator, draws[name])
    restore_history(engine, state["history"])
    engine.stop_ = state["stopped"]
    stopping = _early_stopping(engine)
    if stopping is not None:
        stopping.go_on({**state["stopping"], "weights": _tensors(state["stopping"]["weights"])})


def moments_of(engine) -> Moments:
    """Return the state of an engine's optimisers; arrays may share their memory."""
    return [
        [_arrays(optimizer.state[p]) for p in _parameters(optimizer)]
        for optimizer in _optimizers(engine)
    ]


def restore_moments(engine, moments: Moments) -> None:
    """Give an engine's optimisers the state of those of such an engine."""
    for optimizer, of_optimizer in zip(_optimizers(engine), moments, strict=True):
        for p, found in zip(_parameters(optimizer), of_optimizer, strict=True):
            optimizer.state[p] = {k: _like(p, value) for k, value in _tensors(found).items()}


def restore_history(engine, rows: list[dict]) -> None:
    """Put epochs before those of an engine that has begun."""
    engine.history.extend({**row, "batches": []} for row in rows)


def _optimizers(engine) -> Iterator[torch.optim.Optimizer]:
    """Yield torch's optimisers, of which a wide layer has one a block."""
    for optimizer in engine.optimizers_:
        yield from getattr(optimizer, "optimizers", [optimizer])


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _generators(engine) -> dict[str, Generator]:
    """Return all generators that training draws from, by names that tell their kinds apart."""
    found = {"dropout": engine.generator, **vars(engine.source)}
    return {
        f"{name} on {value.device.type}" if isinstance(value, torch.Generator) else name: value
        for name, value in found.items()
        if isinstance(value, Generator)
    }


def _state(generator: Generator):
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy()
    return generator.bit_generator.state


def _set_state(generator: Generator, state) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.tensor(state))
    else:
        generator.bit_generator.state = state


def _early_stopping(engine) -> EarlyStopping | None:
    return next((c for c in engine.callbacks if isinstance(c, EarlyStopping)), None)


def _with_arrays(state: dict) -> dict:
    return {**state, "weights": _arrays(state["weights"])}


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}


def _like(p: Tensor, value: Tensor) -> Tensor:
    """Return a moment laid out in memory as its parameter; torch's kernel takes that for granted.

    What is no moment is the number of steps.
    """
    if value.shape != p.shape:
        return value.to(p.device)
    return torch.empty_like(p, requires_grad=False).copy_(value)
