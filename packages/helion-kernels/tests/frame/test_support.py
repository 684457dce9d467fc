"""What our kernels take, and how often the user is told of the rest."""

from __future__ import annotations

import warnings

import pytest
import torch

import helion_kernels
from helion import exc
from helion_kernels import FallbackWarning, settings, softmax
from helion_kernels.frame import support


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    monkeypatch.setattr(support, "_said", set())


def test_said_once_for_each_reason_at_the_users_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            softmax(torch.randn(3))
        helion_kernels.log_softmax(torch.randn(3))
        softmax(torch.randn(3, dtype=torch.float64))
    texts = [str(w.message) for w in caught]
    assert [t.split(" to torch")[0] for t in texts] == [
        "helion_kernels.softmax leaves cpu tensors",
        "helion_kernels.log_softmax leaves cpu tensors",
        "helion_kernels.softmax leaves float64 tensors",
    ]
    assert {w.filename for w in caught} == {__file__}
    assert {w.category for w in caught} == {FallbackWarning}


@pytest.mark.parametrize(
    ("tensors", "taken"),
    [
        ([torch.ones(2), None], True),
        ([torch.ones(2), torch.ones(2, dtype=torch.bfloat16)], True),
        ([torch.ones(2, dtype=torch.int32)], False),
        ([torch.ones(2, 2).to_sparse()], False),
        ([torch.ones(2, device="meta")], False),
    ],
)
@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_what_is_taken(interpret, tensors, taken):
    assert support.usable("softmax", *tensors) is taken


def test_settings_are_checked_and_scoped(interpret):
    with pytest.raises(exc.InvalidSetting, match="allowed: torch, interpret"), settings.override("fast"):
        pass
    with settings.override("torch"):
        assert settings.cpu == "torch"
    assert settings.cpu == "interpret"
