"""Modules as torch has them, and putting them into a model."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import nn
from helion_kernels.testing import TOLERANCES, assert_close

PAIRS = [
    (torch.nn.LayerNorm, nn.LayerNorm, {"normalized_shape": [4, 12], "bias": False}),
    (torch.nn.RMSNorm, nn.RMSNorm, {"normalized_shape": 12, "eps": 1e-5}),
    (torch.nn.Softmax, nn.Softmax, {"dim": 1}),
    (torch.nn.LogSoftmax, nn.LogSoftmax, {"dim": -1}),
    (torch.nn.Linear, nn.Linear, {"in_features": 12, "out_features": 5}),
]


@pytest.mark.parametrize(("theirs", "ours", "options"), PAIRS, ids=lambda p: getattr(p, "__name__", ""))
def test_the_same_state_and_results(theirs, ours, options, interpret):
    old, new = theirs(**options), ours(**options)
    new.load_state_dict(old.state_dict())
    x = torch.randn(3, 4, 12)
    assert_close(new(x), old(x), 5e-3 if theirs is torch.nn.Linear else TOLERANCES[torch.float32])
    assert repr(new) == repr(old)


def test_losses(interpret):
    logits, labels, weight = torch.randn(6, 9), torch.randint(9, (6,)), torch.rand(9)
    options = {"weight": weight, "label_smoothing": 0.1, "reduction": "sum"}
    expected = torch.nn.CrossEntropyLoss(**options)(logits, labels)
    assert_close(nn.CrossEntropyLoss(**options)(logits, labels), expected, 1e-5)
    squared = torch.logsumexp(logits, 1).square().sum()
    assert_close(nn.CrossEntropyLoss(z_loss=0.5, **options)(logits, labels), expected + 0.5 * squared, 1e-5)
    layer = nn.LinearCrossEntropyLoss(12, 9, chunk_rows=4)
    assert layer.state_dict().keys() == torch.nn.Linear(12, 9, bias=False).state_dict().keys()
    x = torch.randn(6, 12)
    assert_close(layer(x, labels), torch.nn.functional.cross_entropy(x @ layer.weight.t(), labels), 1e-5)


def test_residual_swiglu_and_attention(interpret):
    norm, x, residual = nn.RMSNorm(8), torch.randn(3, 8), torch.randn(3, 8)
    y, total = norm(x, residual)
    assert_close((y, total), (norm(x + residual), x + residual), 1e-5)
    layer = nn.SwiGLU(8, 20)
    gate, up, down = (p.weight.double() for p in (layer.gate_proj, layer.up_proj, layer.down_proj))
    exact = x.double()
    expected = (torch.nn.functional.silu(exact @ gate.t()) * (exact @ up.t())) @ down.t()
    assert_close(layer(x), expected, 5e-3)
    q = torch.randn(1, 2, 5, 16)
    causal = torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert_close(nn.Attention(is_causal=True)(q, q, q), causal, 5e-3)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.0), self.norm)
        self.special = Special(8)

    def forward(self, x):
        return self.special(self.layers(self.norm(x)))


class Special(torch.nn.LayerNorm):
    """A subclass with a forward of its own."""

    def forward(self, input):
        return super().forward(input) + 1


def test_swap_and_restore(interpret):
    model = Model()
    x = torch.randn(4, 8)
    expected, state = model(x), {k: v.data_ptr() for k, v in model.state_dict().items()}
    calls = []
    model.norm.register_forward_hook(lambda *args: calls.append(1))
    old = list(model.layers)
    swapped = nn.swap(model)
    assert list(swapped) == ["norm", "layers.0", "layers.1", "layers.2"]
    assert type(model.norm) is nn.LayerNorm and model.layers[2] is model.norm
    assert type(model.special) is Special
    assert {k: v.data_ptr() for k, v in model.state_dict().items()} == state
    assert_close(model(x), expected, 5e-3)
    assert len(calls) == 2, "hooks stay"
    nn.restore(model, swapped)
    assert list(model.layers) == old and model.norm is old[2]


def test_restored_modules_are_in_the_mode_of_the_model():
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(2, 2))
    swapped = nn.swap(model)
    model.eval()
    nn.restore(model, swapped)
    assert not any(m.training for m in model.modules())


def test_swap_what_is_asked_for():
    model = Model()
    assert list(nn.swap(model, skip=["layers.*"])) == ["norm"]
    model = Model()

    def convert(old):
        new = nn.LayerNorm(8)
        new.load_state_dict(old.state_dict())
        return new

    assert list(nn.swap(model, {Special: convert})) == ["special"]
    assert nn.swap(torch.nn.Linear(2, 2)) == {}, "the model itself is the caller's to replace"
