"""Autograd is told of tensors that a kernel changes, so that it never computes with contents that are gone."""

import pytest
import torch

import helion
import helion.language as hl


@helion.kernel(use_default_config=True)
def doubled_in_place(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rows = x.view(-1)
    out = torch.empty_like(y)
    for tile in hl.tile(rows.size(0)):
        rows[tile] = rows[tile] * 2
        out[tile] = y[tile]
    return out


TOTAL = torch.zeros(8)


@helion.kernel(use_default_config=True)
def kept(x: torch.Tensor) -> torch.Tensor:
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(TOTAL, [tile], x[tile])
    return TOTAL


def test_versions_of_what_was_there_before_and_is_stored_to():
    for call in range(1, 4):
        x, y = (torch.ones(2, 4), torch.ones(8)) if call == 1 else (x, y)  # noqa: F821
        out = doubled_in_place(x, y)
        assert (x._version, y._version, out._version) == (call, 0, 0)
    before = TOTAL._version
    kept(torch.ones(8))
    assert TOTAL._version == before + 1


def test_a_saved_tensor_that_changed_is_not_used():
    w = torch.ones(8, requires_grad=True)
    x = torch.full((8,), 3.0)
    product = w * x
    doubled_in_place(x, torch.ones(8))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_inference_tensors_have_no_versions():
    with torch.inference_mode():
        x = torch.ones(8)
        doubled_in_place(x, torch.ones(8))
    assert x.eq(2).all()
