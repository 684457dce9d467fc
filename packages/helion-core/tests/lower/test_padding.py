"""Masks stand where the padding of a value does not hold what its consumer needs, and nowhere else."""

import pytest
import torch

import helion
import helion.language as hl


def row_kernel(compute):
    @helion.kernel(config={"block_sizes": [16]})
    def kernel(x, w):
        out = torch.empty([x.size(0)], dtype=torch.float32)
        for tile in hl.tile(x.size(0)):
            out[tile] = compute(x[tile, :], w[:])
        return out

    return kernel


CASES = {
    # what is reduced, and how many wheres that takes: the padding of a load holds 0
    "sum": (lambda x, w: x.sum(-1), 0),
    "mean": (lambda x, w: x.mean(-1), 0),
    "sum of squares": (lambda x, w: (x * x).sum(-1), 0),
    "sum of products": (lambda x, w: (x * w).sum(-1), 0),
    "sum of half the absolute value": (lambda x, w: (x.abs() * 0.5).sum(-1), 0),
    "sum of relu": (lambda x, w: torch.relu(x).sum(-1), 0),
    "sum of a shifted row": (lambda x, w: (x + 1).sum(-1), 1),
    "sum of exp": (lambda x, w: torch.exp(x).sum(-1), 1),
    "sum of cos": (lambda x, w: torch.cos(x).sum(-1), 1),
    "sum of sin": (lambda x, w: torch.sin(x).sum(-1), 0),
    "sum of a centred row": (lambda x, w: (x - x.mean(-1, keepdim=True)).sum(-1), 1),
    "sum of a scaled row": (lambda x, w: (x * x.sum(-1, keepdim=True)).sum(-1), None),
    "maximum": (lambda x, w: x.amax(-1), 1),
    "minimum": (lambda x, w: x.amin(-1), 1),
    "product": (lambda x, w: x.prod(-1), 1),
    "product of ones": (lambda x, w: torch.exp(x * 0).prod(-1), 0),
    "maximum of log": (lambda x, w: torch.log(x.abs()).amax(-1), 0),
    "sum of a fresh value": (lambda x, w: (x * 0 + hl.full([x.size(1)], 2.0)).sum(-1), 1),
    "sum through where": (lambda x, w: torch.where(x > 0, x, 0.0).sum(-1), 0),
    "maximum of a cast": (lambda x, w: x.to(torch.float16).to(torch.float32).amax(-1), 1),
    "the same maximum twice": (lambda x, w: x.amax(-1) + x.amax(-1), 1),
}


def eager(compute, x, w):
    """`compute` on whole rows; `hl.full` is the only thing of ours that the table uses."""
    return compute(x.double(), w.double())


@pytest.mark.parametrize("name", CASES)
def test_rows_that_need_padding(name, monkeypatch):
    compute, wheres = CASES[name]
    x, w = -torch.rand(20, 50) - 0.5, torch.randn(50)
    kernel = row_kernel(compute)
    out = kernel(x, w)
    code = kernel.bind((x, w)).to_triton_code()
    monkeypatch.setattr(hl, "full", lambda shape, value: torch.full(shape, value, dtype=torch.float64))
    torch.testing.assert_close(out.double(), eager(compute, x, w).double(), rtol=1e-4, atol=1e-3)
    if wheres is not None:
        masked = [line for line in code.splitlines() if "_masked = tl.where(" in line]
        assert len(masked) == wheres, code


@pytest.mark.parametrize("name", CASES)
def test_rows_that_need_none(name):
    x, w = -torch.rand(32, 64) - 0.5, torch.randn(64)
    kernel = row_kernel(CASES[name][0])
    code = kernel.bind((x, w)).to_triton_code()
    assert "mask" not in code, code


def test_products_need_zeros_along_their_depth_only():
    @helion.kernel(config={"block_sizes": [16, 16, 16]})
    def product(x, y):
        out = torch.empty([x.size(0), y.size(1)])
        for tile_m, tile_n in hl.tile(out.size()):
            acc = hl.zeros([tile_m, tile_n])
            for tile_k in hl.tile(x.size(1)):
                acc = acc + torch.exp(x[tile_m, tile_k]) @ torch.cos(y[tile_k, tile_n])
            out[tile_m, tile_n] = acc
        return out

    x, y = torch.randn(20, 30), torch.randn(30, 25)
    torch.testing.assert_close(product(x, y), torch.exp(x) @ torch.cos(y), rtol=1e-4, atol=1e-4)
    lines = [line for line in product.bind((x, y)).to_triton_code().splitlines() if "tl.where(" in line]
    assert len(lines) == 2 and all("mask_k" in line and "mask_m" not in line for line in lines)
