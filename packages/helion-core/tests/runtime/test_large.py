"""Tensors with more elements than 32-bit offsets reach, on a GPU."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl

pytestmark = pytest.mark.gpu
ROWS, COLUMNS = 33_000, 65_536  # 2**31 elements and 15 million more: 4.03 GiB of bfloat16


def double(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] * 2
    return out


def row_sums(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :].to(torch.float32).sum(-1)
    return out


@pytest.fixture(scope="module")
def x():
    if torch.cuda.mem_get_info()[0] < 12 << 30:
        pytest.skip("needs 12 GiB of a GPU's memory")
    made = torch.arange(ROWS, device="cuda", dtype=torch.float32)[:, None] % 251
    yield made.to(torch.bfloat16).expand(ROWS, COLUMNS).contiguous()
    torch.cuda.empty_cache()


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("indexing", ["pointer", "tensor_descriptor"])
def test_elementwise(x, static, indexing) -> None:
    config = helion.Config(block_sizes=[64, 128], indexing=indexing)
    out = helion.kernel(double, config=config, static_shapes=static)(x)
    assert torch.equal(out[-1], x[-1] * 2), "the last row lies beyond 2**31 elements"
    assert torch.equal(out, x * 2)


@pytest.mark.parametrize("static", [True, False])
def test_rows(x, static) -> None:
    out = helion.kernel(row_sums, static_shapes=static, use_default_config=True)(x)
    assert torch.equal(out, (torch.arange(ROWS, device="cuda") % 251) * float(COLUMNS))
