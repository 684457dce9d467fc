"""Products of groups and their gradients against float64; empty groups, and rows of no group."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import grouped_mm
from helion_kernels.testing import check

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])


def randn(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


def ends(*sizes):
    return torch.tensor(sizes, dtype=torch.int32).cumsum(0, dtype=torch.int32)


@DTYPES
def test_rows(dtype):
    check(grouped_mm, randn(52, 20, dtype=dtype), randn(4, 20, 17, dtype=dtype), offs=ends(21, 0, 1, 30))


@DTYPES
def test_columns(dtype):
    check(grouped_mm, randn(3, 17, 20, dtype=dtype), randn(20, 40, dtype=dtype), offs=ends(25, 0, 15))


@DTYPES
def test_inner(dtype):
    check(grouped_mm, randn(17, 40, dtype=dtype), randn(40, 20, dtype=dtype), offs=ends(0, 33, 7))


def test_batches():
    check(grouped_mm, randn(3, 17, 20), randn(3, 20, 9))


@pytest.mark.parametrize("sizes", [(16, 16), (0, 0), (5,), (0, 33, 0, 0, 2), (1,) * 20], ids=str)
def test_sizes_of_groups(sizes):
    x, y = randn(40, 16), randn(len(sizes), 16, 8)
    out = check(grouped_mm, x, y, offs=ends(*sizes))
    assert (out[sum(sizes) :] == 0).all()


def test_strides():
    x = torch.randn(20, 40).t().requires_grad_()
    y = torch.randn(2, 17, 20).transpose(1, 2).requires_grad_()
    check(grouped_mm, x, y, offs=ends(30, 10))


def test_nan_beside_a_group_stays_there(interpret):
    x, y = torch.randn(40, 16), torch.randn(2, 16, 8)
    x[20] = float("nan")
    out = grouped_mm(x, y, offs=ends(20, 20))
    assert out[20].isnan().all() and out.isnan().sum() == 8


def test_the_same_bits_twice(interpret):
    x, y, offs = torch.randn(40, 16), torch.randn(2, 16, 8), ends(7, 33)
    assert torch.equal(grouped_mm(x, y, offs=offs), grouped_mm(x, y, offs=offs))


@pytest.mark.parametrize("transposed", [False, True])
def test_rows_and_weights_are_read_by_descriptors(transposed):
    """On an H100; the few offsets are not."""
    from helion.runtime.targets import parse_target
    from helion_kernels.grouped_mm import grouped_rows

    x, weight = torch.empty(512, 256, dtype=torch.bfloat16), torch.empty(4, 256, 512, dtype=torch.bfloat16)
    y = weight.transpose(1, 2).contiguous().transpose(1, 2) if transposed else weight
    bound = grouped_rows.kernels[0].bind((x, y, torch.zeros(4, dtype=torch.int32)))
    target = parse_target("sm_90")
    config = bound.default_config(target).replace(indexing="tensor_descriptor")
    source = bound.generate(config, target).kernel_source
    assert "x_desc.load" in source and "y_desc.load" in source and "ends_desc" not in source
