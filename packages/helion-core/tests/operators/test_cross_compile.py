"""A sample of the operators compiled for GPUs that need not be there: what the interpreter accepts, Triton must
accept too.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

from .table import TABLE
from .test_table import as_tuple, over_rows

SAMPLE = (
    "gelu", "nan_to_num", "max dim nan", "var_mean", "softmax", "layer_norm", "cummax", "sort", "topk",
    "gather", "cat three", "stack three", "split sizes", "slice even odd", "roll", "repeat_interleave", "tril",
    "flatten", "bmm", "to f8e4m3", "any float",
)  # fmt: skip
TARGETS = ("sm_90", "gfx942")


@pytest.mark.parametrize("target", TARGETS)
def test_operators(target: str) -> None:
    """One kernel an operator, so that a failure names it."""
    by_name = {record.name: record for record in TABLE}
    for name in SAMPLE:
        record = by_name[name]
        inputs = [maker((21, record.columns), record.dtypes[0]) for maker in record.inputs]
        outs = [torch.empty(e.shape, dtype=e.dtype) for e in as_tuple(record.function(*inputs))]
        over_rows.reset()
        bound = over_rows.bind((inputs, outs, lambda *args, r=record: as_tuple(r.function(*args))))
        assert bound.compile_for(parse_target(target), {"block_sizes": [16]}).code_size > 0, name


def larger(a, i, b, j):
    take = b > a
    return torch.where(take, b, a), torch.where(take, j, i)


@helion.kernel(config=helion.Config(block_sizes=[32, 32]))
def everything(x, index, counts, out):
    for tile_m, tile_n in hl.tile(x.shape):
        v = hl.load(x, [tile_m, tile_n], extra_mask=(tile_m.index > 2)[:, None], eviction_policy="evict_first")
        at = tile_n.index[None, :].expand_as(v)
        best, place = hl.reduce(larger, (v, at), 1, other=(float("-inf"), 0))
        running = hl.associative_scan(larger, (v, at), 1, reverse=True)[0] + hl.cumsum(v, 1, reverse=True)
        before = hl.atomic_add(counts, [index[tile_m]], 1)
        hl.atomic_cas(counts, [index[tile_m]], 5, before)
        hl.atomic_max(out, [tile_m, 0], best)
        noise = hl.rand([tile_m, tile_n], 7) + torch.randn_like(v) + hl.randint([tile_m, tile_n], 0, 5, 3)
        noise = noise + torch.nn.functional.dropout(v, 0.5)
        pairs = hl.join(v, noise)
        left, right = hl.split(pairs)
        hl.device_print("best", best)
        assert (left == v).all(), "split undoes join"
        text = hl.inline_triton("{0} * 2", [right], right)
        out[tile_m, tile_n] = running + text + (place + before)[:, None] + v.reshape(-1, 4, v.size(1)).sum(1).sum()


@pytest.mark.parametrize("target", TARGETS)
def test_functions_of_the_language(target: str) -> None:
    x = torch.randn(64, 45)
    bound = everything.bind((x, torch.zeros(64, dtype=torch.int64), torch.zeros(9, dtype=torch.int32), x.clone()))
    assert bound.compile_for(parse_target(target)).code_size > 0


@helion.kernel(config=helion.Config(block_sizes=[32, 32]))
def scaled(a, a_scale, b, b_scale, out):
    for tile_m, tile_n in hl.tile(out.shape):
        out[tile_m, tile_n] = hl.dot_scaled(
            a[tile_m, :], a_scale[tile_m, :], "e4m3", b[:, tile_n], b_scale[tile_n, :], "e4m3"
        )


def test_scaled_products() -> None:
    a, b = torch.randn(32, 64).to(torch.float8_e4m3fn), torch.randn(64, 32).to(torch.float8_e4m3fn)
    scale = torch.zeros(32, 2).byte()
    arguments: Any = (a, scale, b, scale, torch.empty(32, 32))
    assert scaled.bind(arguments).compile_for(parse_target("sm_100")).code_size > 0


@helion.kernel(config=helion.Config(block_sizes=[16, 16]))
def product(a, b, out):
    for tile_m, tile_n in hl.tile(out.shape):
        out[tile_m, tile_n] = a[tile_m, :] @ b[:, tile_n]


@helion.kernel(config=helion.Config(block_sizes=[16, 16]))
def product_as_a_sum(a, b, out):
    for tile_m, tile_n in hl.tile(out.shape):
        out[tile_m, tile_n] = (a[tile_m, :][:, :, None] * b[:, tile_n][None]).sum(1)


@pytest.mark.skipif(not triton.__version__.startswith(("3.6.", "3.7.")), reason="Triton 3.8 compiles it")
def test_what_no_config_compiles_for_a_target_is_told_at_its_line() -> None:
    arguments: Any = (torch.empty(32, 32, dtype=torch.float64),) * 3
    bound = product.bind(arguments)
    line = product.__wrapped__.__code__.co_firstlineno + 3
    for config in ({"block_sizes": [16, 16]}, None):
        with pytest.raises(exc.UnsupportedOperation, match=r"product of float64.*on gfx942") as caught:
            bound.compile_for("gfx942", config)
        assert caught.value.location is not None
        assert caught.value.location.line == line
    assert bound.compile_for("gfx90a").code_size > 0
    assert product_as_a_sum.bind(arguments).compile_for("gfx942").code_size > 0
