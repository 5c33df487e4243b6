"""The matrix product of the wide layers: oneDNN's own where torch has it, else torch's.

On some processors torch's default library does not reach what oneDNN does, and torch offers no
public way to choose. The operator asked for here is torch's own but private: it is tried once, on a
small product, and left alone wherever it is missing, complains, or says anything else than torch.
"""

import os
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

SWITCH = "SSLGEX_ONEDNN"  # environment variable; "0" switches oneDNN's products off


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias`` without a gradient."""
    # A weight that is contiguous neither way would take oneDNN a thousand times longer.
    contiguous = weight.is_contiguous() or weight.t().is_contiguous()
    plain = torch.float32 == x.dtype == weight.dtype and x.device.type == "cpu"
    if plain and contiguous and onednn() == "used":
        return _onednn(x, weight, bias)
    return F.linear(x, weight, bias)


@cache
def onednn() -> str:
    """Return "used", or why oneDNN's products are not."""
    if os.environ.get(SWITCH) == "0":
        return f"switched off by {SWITCH}=0"
    x, weight = (
        torch.linspace(-1, 1, 4 * 48).view(4, 48),
        torch.linspace(-2, 3, 16 * 48).view(16, 48),
    )
    bias = torch.linspace(0, 1, 16)
    try:
        with torch.no_grad():
            for laid_out in (weight, weight.t().contiguous().t()):
                for b in (None, bias):
                    torch.testing.assert_close(_onednn(x, laid_out, b), F.linear(x, laid_out, b))
    except Exception:  # whatever it is, there is torch's own product
        return "not available"
    return "used"


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
