"""Which parameters are varied, one at a time, and by how much."""

from typing import NamedTuple

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer

METHODS = {"SCARF": ScarfTransformer, "VIME": VimeTransformer, "BYOL": ByolTransformer}
COMPONENTS = "64 components"
N_BLOCKS = 3  # as the defaults have
COST = {"SCARF": 1.0, "VIME": 2.0, "BYOL": 3.0}  # of a step, roughly
EPOCHS = 150  # about what "auto" comes to here


class Knob(NamedTuple):
    """A parameter, beside the default the values to try, and whose it is.

    Attributes
    ----------
    values : tuple of float
        Ascending. The default is tried in any case.
    methods : tuple of str
        Who has it.
    symbol : str
        For figures.
    rescales : bool
        Whether losses at different values are of different scales.
    """

    values: tuple[float, ...]
    methods: tuple[str, ...] = tuple(METHODS)
    symbol: str = ""
    rescales: bool = False


KNOBS = {
    "corruption_rate": Knob((0.1, 0.3, 0.5, 0.8, 0.9)),
    "temperature": Knob((0.05, 0.2, 0.5, 1.0, 2.0), ("SCARF",), "τ", rescales=True),
    "alpha": Knob((0.1, 0.5, 2.0, 5.0, 10.0), ("VIME",), "α", rescales=True),
    "ema_decay": Knob((0.5, 0.8, 0.9, 0.99, 0.999), ("BYOL",), "τ"),
    "max_epochs": Knob((5, 20, 50, 300)),
    "width": Knob((32, 128, 256, 512)),
    "lr": Knob((1e-4, 1e-3, 1e-2)),
}


def small(parameter: str) -> Knob:
    """Return two values of a knob, for a trial."""
    knob = KNOBS[parameter]
    ends = (2, 8) if parameter == "max_epochs" else (knob.values[0], knob.values[-1])
    return knob._replace(values=ends)


def default(method: str, parameter: str, base: dict):
    """Return the default, ``base`` aside, as the knob counts it."""
    encoder = METHODS[method](**base)
    return encoder.hidden_layer_sizes[0] if parameter == "width" else getattr(encoder, parameter)


def name_of(method: str, parameter: str, value, base: dict) -> str:
    """Return the name of an entry; the default of all knobs is one and the same."""
    is_default = value == default(method, parameter, base)
    return method if is_default else f"{method}, {parameter} {value:g}"


def encoders(knobs: dict[str, Knob], base: dict) -> dict:
    """Return all encoders, the slowest first, so that no worker is late with one; components last.

    Parameters
    ----------
    knobs : dict of str to Knob
        What is varied.
    base : dict
        Parameters of all encoders that are not the package's defaults.
    """
    base = {"device": "cpu"} | base
    found, cost = {}, {}
    for method, make in METHODS.items():
        found[method], cost[method] = make(**base), COST[method]
        for parameter, knob in knobs.items():
            for value in knob.values if method in knob.methods else ():
                name = name_of(method, parameter, value, base)
                sizes = {"hidden_layer_sizes": (int(value),) * N_BLOCKS}
                varied = sizes if parameter == "width" else {parameter: value}
                found.setdefault(name, make(**base | varied))
                longer = value / EPOCHS if parameter == "max_epochs" else 1.0
                cost.setdefault(name, COST[method] * longer)
    found = {name: found[name] for name in sorted(found, key=cost.get, reverse=True)}
    # Where the residual encoder starts.
    return found | {COMPONENTS: make_pipeline(StandardScaler(), PCA(64, random_state=0))}
