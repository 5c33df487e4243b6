"""oneDNN's product is torch's, is used only where it is, and can be switched off."""

import pytest
import torch
import torch.nn.functional as F

import sslgex
from sslgex._nn import product

LAYOUTS = [
    pytest.param(lambda w: w, id="rows"),
    pytest.param(lambda w: w.t().contiguous().t(), id="columns"),
    pytest.param(lambda w: torch.cat([w, w], dim=1)[:, : w.shape[1]], id="strided"),
]


@pytest.fixture(autouse=True)
def asked_anew():
    product.onednn.cache_clear()
    yield
    product.onednn.cache_clear()


def data():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator) for shape in ((7, 300), (20, 300), (20,))]


@pytest.mark.parametrize("lay_out", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_torchs_product(lay_out, dtype):
    x, weight, bias = (t.to(dtype) for t in data())
    for b in (None, bias):
        wanted = F.linear(x, weight, b)
        torch.testing.assert_close(product.linear(x, lay_out(weight), b), wanted)


def test_it_can_be_switched_off(monkeypatch, capsys):
    monkeypatch.setenv(product.SWITCH, "0")
    monkeypatch.setattr(product, "_onednn", lambda *a: pytest.fail("used"))
    x, weight, bias = data()
    assert torch.equal(product.linear(x, weight, bias), F.linear(x, weight, bias))
    sslgex.show_versions()
    assert "oneDNN products: switched off by SSLGEX_ONEDNN=0" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["missing", "wrong"])
def test_it_falls_back_in_silence(monkeypatch, broken):
    def instead(x, weight, bias):
        if broken == "missing":
            raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")
        return torch.zeros(len(x), len(weight))

    monkeypatch.setattr(product, "_onednn", instead)
    x, weight, bias = data()
    assert torch.equal(product.linear(x, weight, bias), F.linear(x, weight, bias))
    assert product.onednn() == "not available"


def test_versions_name_every_package(capsys):
    sslgex.show_versions()
    said = capsys.readouterr().out
    for name in ("sslgex", "python", "scikit-learn", "torch", "threads", "GPU", "oneDNN products"):
        assert f"{name}: " in said
