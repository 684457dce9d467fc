"""Tensor descriptors that count several dimensions as one: where blocks are known never to leave the inner ones.

What would leak from one batch into the next shows: batches beside the one looked at are full of NaN.
"""

from __future__ import annotations

from typing import Any

import pytest
import sympy
import torch
from torch.utils._sympy.functions import FloorDiv, Max, Min

import helion
import helion.language as hl
from helion.ir import HostTensor
from helion.lower.access import BlockDim, _lies_around
from helion.lower.layout import _most

NAN = float("nan")
WHOLE, BATCHED = ((0, 1), (2,)), ((0,), (1,), (2,))


def descriptors(bound: Any, *blocks: int) -> dict[str, Any]:
    """The dimensions of the tensors that the kernel has descriptors of."""
    return {d.tensor.name: d.dims for d in bound.generate(config_of(*blocks)).descriptors}


def config_of(*blocks: int) -> helion.Config:
    return helion.Config(block_sizes=list(blocks), indexing="tensor_descriptor")


def run(bound: Any, args: Any, *blocks: int) -> torch.Tensor:
    return bound.compile_config(config_of(*blocks)).run(*args)


def poisoned(*sizes: int, at: int = 1) -> torch.Tensor:
    """Random numbers, but for one batch."""
    torch.manual_seed(sum(sizes))
    result = torch.randn(sizes)
    result[at] = NAN
    return result


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Also what is not a number lies where it is expected."""
    torch.testing.assert_close(found.double(), expected.double(), atol=1e-4, rtol=1e-4, equal_nan=True)


# --- batches of products


@helion.kernel
def batched(x, y):
    b, m, k = x.size()
    n = y.size(2)
    out = torch.empty([b, m, n], dtype=x.dtype, device=x.device)
    for tile_b, tile_m, tile_n in hl.tile([b, m, n]):
        acc = hl.zeros([tile_b, tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.baddbmm(acc, x[tile_b, tile_m, tile_k], y[tile_b, tile_k, tile_n])
        out[tile_b, tile_m, tile_n] = acc
    return out


@pytest.mark.parametrize(
    ("m", "k", "dims"),
    [
        (32, 48, {"x": WHOLE, "y": WHOLE, "out": WHOLE}),
        (33, 48, {"x": BATCHED, "y": WHOLE, "out": BATCHED}),
        (32, 40, {"x": WHOLE, "y": BATCHED, "out": WHOLE}),
    ],
)
def test_batches_are_joined_with_rows_that_blocks_divide(m, k, dims):
    x, y = poisoned(3, m, k), torch.randn(3, k, 16)
    bound = batched.bind((x, y))
    assert descriptors(bound, 1, 16, 16, 16) == dims
    near(run(bound, (x, y), 1, 16, 16, 16), x.double() @ y.double())


def test_coordinates_count_through_all_dimensions():
    source = batched.bind((torch.randn(3, 32, 48), torch.randn(3, 48, 16))).to_triton_code(config_of(1, 16, 16, 16))
    assert "x_desc.load([offset_m + (32 * offset_b), offset_k])" in source
    assert "tl.reshape" not in source


def test_blocks_of_several_batches_are_not_joined():
    x, y = torch.randn(4, 32, 48), torch.randn(4, 48, 16)
    bound = batched.bind((x, y))
    assert descriptors(bound, 2, 16, 16, 16) == {"x": BATCHED, "y": BATCHED, "out": BATCHED}
    near(run(bound, (x, y), 2, 16, 16, 16), x.double() @ y.double())


def test_each_layout_has_its_own_code():
    """A kernel with static shapes is specialised to strides, too."""
    whole, y = poisoned(3, 64, 48), torch.randn(3, 48, 16)
    part, spread = whole[:, :32], whole.repeat_interleave(2, 0)[::2]
    for x, dims in ((part, BATCHED), (part.contiguous(), WHOLE), (spread, BATCHED), (part, BATCHED)):
        bound = batched.bind((x, y))
        assert descriptors(bound, 1, 16, 16, 16)["x"] == dims
        near(run(bound, (x, y), 1, 16, 16, 16), x.double() @ y.double())


def test_kernels_for_all_sizes_join_nothing():
    kernel = helion.kernel(batched.fn, static_shapes=False)
    for b, m, k in ((3, 32, 48), (3, 33, 40)):
        x, y = poisoned(b, m, k), torch.randn(b, k, 16)
        bound = kernel.bind((x, y))
        assert {len(dims) for dims in descriptors(bound, 1, 16, 16, 16).values()} == {3}
        near(run(bound, (x, y), 1, 16, 16, 16), x.double() @ y.double())


def test_kernels_for_all_sizes_join_what_they_are_specialised_to():
    @helion.kernel(static_shapes=False)
    def double(x):
        sizes = [hl.specialize(n) for n in x.size()]
        out = torch.empty(sizes, dtype=x.dtype, device=x.device)
        for tile_b, tile_m in hl.tile(sizes[:2]):
            out[tile_b, tile_m, :] = x[tile_b, tile_m, :] * 2
        return out

    part = poisoned(3, 64, 16)[:, :32]
    for x, dims in ((part.contiguous(), WHOLE), (part, BATCHED), (part.contiguous(), WHOLE)):
        bound = double.bind((x,))
        assert descriptors(bound, 1, 16) == {"x": dims, "out": WHOLE}
        near(run(bound, (x,), 1, 16), x.double() * 2)


@pytest.mark.parametrize(("b", "m", "k"), [(1, 32, 48), (3, 1, 48), (0, 32, 48), (3, 0, 48), (3, 32, 0)])
def test_dimensions_of_one_element_or_none(b, m, k):
    x, y = torch.randn(b, m, k), torch.randn(b, k, 16)
    near(run(batched.bind((x, y)), (x, y), 1, 16, 16, 16), x.double() @ y.double())


def test_batches_that_are_one_in_memory():
    x, y = torch.randn(1, 32, 48).expand(3, 32, 48), torch.randn(3, 48, 16)
    bound = batched.bind((x, y))
    assert "x" not in descriptors(bound, 1, 16, 16, 16)  # the TMA unit takes no step of 0
    near(run(bound, (x, y), 1, 16, 16, 16), x.double() @ y.double())


# --- heads of batches, found from one index


@helion.kernel
def grouped(q, k):
    b, h, m, d = q.size()
    g, n = k.size(1), k.size(2)
    out = torch.empty([b, h, m, n], dtype=q.dtype, device=q.device)
    for tile_h, tile_m in hl.tile([b * h, m], block_size=[1, None]):
        batch, head = tile_h.begin // h, tile_h.begin % h
        for tile_n in hl.tile(n):
            keys = k[batch, head // (h // g), tile_n, :]
            out[batch, head, tile_m, tile_n] = hl.dot(q[batch, head, tile_m, :], keys.T)
    return out


def shared_heads(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return q.double() @ k.double().repeat_interleave(q.size(1) // k.size(1), 1).transpose(2, 3)


@pytest.mark.parametrize(
    ("m", "n", "dims"),
    [
        (16, 32, {"q": ((0, 1, 2), (3,)), "k": ((0, 1, 2), (3,))}),
        (20, 32, {"q": ((0, 1), (2,), (3,)), "k": ((0, 1, 2), (3,))}),
        (16, 40, {"q": ((0, 1, 2), (3,)), "k": ((0, 1), (2,), (3,))}),
    ],
)
def test_heads_that_share_keys(m, n, dims):
    q, k = torch.randn(2, 4, m, 16), torch.randn(2, 2, n, 16)
    q[0, 2], k[1, 0] = NAN, NAN
    bound = grouped.bind((q, k))
    assert descriptors(bound, 16, 16) == dims
    near(run(bound, (q, k), 16, 16), shared_heads(q, k))


def test_heads_that_lie_within_rows():
    q, k = torch.randn(2, 16, 4, 16).transpose(1, 2), torch.randn(2, 32, 2, 16).transpose(1, 2)
    q[0, 2], k[1, 0] = NAN, NAN
    bound = grouped.bind((q, k))
    assert descriptors(bound, 16, 16)["k"] == ((1,), (0, 2), (3,))  # the batch lies around the rows
    near(run(bound, (q, k), 16, 16), shared_heads(q, k))


def test_one_head():
    q, k = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 32, 16)
    bound = grouped.bind((q, k))
    assert descriptors(bound, 16, 16)["k"] == ((0, 2), (3,))
    near(run(bound, (q, k), 16, 16), shared_heads(q, k))


# --- loops whose bounds the device computes


@helion.kernel
def up_to(x, bounded, up):
    b, n, d = x.size()
    out = torch.empty([b, n, d], dtype=torch.float32, device=x.device)
    block = hl.register_block_size(8, 32)
    for tile_b, tile_m in hl.tile([b, n], block_size=[1, block]):
        end = tile_m.end + 20
        if bounded:
            end = max(min(end, n), 0)
        if up:
            end = end + block - 1
        acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
        for tile_n in hl.tile(0, end // block * block, block_size=block):
            acc += x[tile_b, tile_n, :].sum(1)[:, None, :]
        out[tile_b, tile_m, :] = acc
    return out


@pytest.mark.parametrize(
    ("bounded", "up", "n", "dims"),
    [
        (True, False, 48, WHOLE),
        (True, False, 52, WHOLE),
        (True, True, 48, WHOLE),
        (True, True, 52, BATCHED),  # the last block goes beyond the end
        (False, False, 48, BATCHED),
    ],
)
def test_loops_over_whole_blocks(bounded, up, n, dims):
    x = poisoned(3, n, 16)
    bound = up_to.bind((x, bounded, up))
    assert descriptors(bound, 16)["x"] == dims
    tiles = [min(begin + 16, n) for begin in range(0, n, 16) for _ in range(16)][:n]
    ends = [((min(end + 20, n) if bounded else end + 20) + 15 * up) // 16 * 16 for end in tiles]
    near(run(bound, (x, bounded, up), 16), torch.stack([x[:, :end].double().sum(1) for end in ends], 1))


@pytest.mark.parametrize("indexing", ["pointer", "block_ptr", "tensor_descriptor"])
def test_nothing_lies_below_the_first_row(indexing):
    @helion.kernel
    def from_below(x):
        out = torch.empty([x.size(0), x.size(2)], dtype=torch.float32, device=x.device)
        for tile_b in hl.tile(x.size(0)):
            acc = hl.zeros([tile_b, x.size(2)], dtype=torch.float32)
            for tile in hl.tile(-4, x.size(1)):
                acc += x[tile_b, tile, :].sum(1)
            out[tile_b, :] = acc
        return out

    x = torch.cat([torch.full((1, 12, 16), NAN), poisoned(3, 12, 16)])[1:]
    bound = from_below.bind((x,))
    legal = [indexing if key.legal(indexing) else "pointer" for key in bound.config_spec.lists["indexing"]]
    config = helion.Config(block_sizes=[1, 4], indexing=legal)
    near(bound.compile_config(config).run(x), x.double().sum(1))


# --- tiles that are moved, slices and single rows


@pytest.mark.parametrize(
    ("first", "last", "step", "dims"),
    [(0, 48, 3, BATCHED), (8, 40, 8, WHOLE), (0, 32, 8, BATCHED), (16, 48, 8, BATCHED), (8, 36, 8, BATCHED)],
)
def test_moved_tiles(first, last, step, dims):
    @helion.kernel
    def around(x):
        out = torch.zeros_like(x)
        for tile_b in hl.tile(x.size(0)):
            for tile in hl.tile(first, last):
                out[tile_b, tile, :] = x[tile_b, tile - step, :] + x[tile_b, tile + step, :]
        return out

    x = poisoned(3, 48, 16)
    bound = around.bind((x,))
    found = {d.dims for d in bound.generate(config_of(1, 8)).descriptors if d.tensor.name == "x"}
    assert found == {dims} if dims == WHOLE else BATCHED in found
    padded = torch.nn.functional.pad(x, (0, 0, step, step)).double()
    expected = torch.zeros_like(x, dtype=torch.float64)
    expected[:, first:last] = (padded[:, : -2 * step] + padded[:, 2 * step :])[:, first:last]
    near(run(bound, (x,), 1, 8), expected)


@pytest.mark.parametrize("step", [1, 2**27 - 1])  # 32 times the latter, of which 32 bits leave -32
def test_moved_batches(step):
    @helion.kernel
    def later(x):
        out = torch.empty_like(x)
        for tile_b, tile in hl.tile([x.size(0), x.size(1)]):
            out[tile_b, tile, :] = x[tile_b + step, tile, :]
        return out

    x = torch.randn(3, 32, 16)
    expected = torch.zeros_like(x)
    expected[:-1] = x[1:] if step == 1 else 0
    bound = later.bind((x,))
    assert descriptors(bound, 1, 16) == {"x": BATCHED, "out": WHOLE}
    near(run(bound, (x,), 1, 16), expected)


@pytest.mark.parametrize(("first", "last", "dims"), [(4, 20, WHOLE), (4, 16, BATCHED), (0, 24, BATCHED)])
def test_slices(first, last, dims):
    @helion.kernel
    def cut(x):
        out = torch.empty([x.size(0), x.size(2)], dtype=x.dtype, device=x.device)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, first:last, :].sum(1)
        return out

    x = poisoned(3, 24, 16)
    bound = cut.bind((x,))
    assert descriptors(bound, 1)["x"] == dims
    near(run(bound, (x,), 1), x.double()[:, first:last].sum(1))


@pytest.mark.parametrize("row", [0, 2, -1])
def test_single_rows(row):
    @helion.kernel
    def one(x):
        out = torch.empty([x.size(0), x.size(2), x.size(3)], dtype=x.dtype, device=x.device)
        for tile_b, tile in hl.tile([x.size(0), x.size(2)]):
            out[tile_b, tile, :] = x[tile_b, row, tile, :] * 2
        return out

    x = poisoned(3, 4, 32, 16)
    bound = one.bind((x,))
    assert descriptors(bound, 1, 16)["x"] == ((0, 1, 2), (3,))
    near(run(bound, (x,), 1, 16), x[:, row].double() * 2)


@pytest.mark.parametrize(("rows", "dims"), [(32, WHOLE), (30, BATCHED)])
def test_stores_end_with_their_batch(rows, dims):
    """The last batch is written first: what the one before it wrote behind its end would stay."""

    @helion.kernel
    def backwards(x):
        out = torch.full_like(x, 7.0)
        for tile_b, tile in hl.tile([x.size(0), x.size(1)]):
            last = x.size(0) - 1
            out[last - tile_b.begin, tile, :] = x[last - tile_b.begin, tile, :] + 1
        return out

    x = poisoned(3, rows, 16)
    bound = backwards.bind((x,))
    assert descriptors(bound, 1, 16) == {"x": dims, "out": dims}
    near(run(bound, (x,), 1, 16), x.double() + 1)


def test_stores_to_heads_that_lie_within_rows():
    @helion.kernel
    def moved(x):
        b, h, n, d = x.size()
        out = torch.full([b, n, h, d], 7.0, device=x.device).transpose(1, 2)
        for tile_b, tile_h, tile in hl.tile([b, h, n]):
            out[tile_b, tile_h, tile, :] = x[tile_b, tile_h, tile, :] + 1
        return out

    x = poisoned(3, 4, 32, 16)
    bound = moved.bind((x,))
    assert descriptors(bound, 1, 1, 16) == {"x": ((0, 1, 2), (3,)), "out": ((1,), (0, 2), (3,))}
    near(run(bound, (x,), 1, 1, 16), x.double() + 1)


# --- the pieces


S = sympy.Symbol("s", integer=True)


@pytest.mark.parametrize(
    ("size", "most"),
    [
        (7, 7),
        (sympy.Integer(-3), -3),
        (S, None),
        (Min(S, 64), 64),
        (Max(S, 64), None),
        (Max(Min(S, 64), 3), 64),
        (Max(Min(S, 2), 3), 3),
        (Min(S, 64) + 3, 67),
        (Min(S, 64) + S, None),
        (FloorDiv(Min(S, 100), 32), 3),
        (FloorDiv(Min(S, 100), 32) * sympy.Integer(32), 96),
        (FloorDiv(S, 32) * sympy.Integer(32), None),
        (FloorDiv(Min(S, 100), S), None),
        (-Min(S, 64), None),  # s may be anything below 64
        (S * Min(S, 64), None),
        (sympy.Mod(S, 8), None),
    ],
)
def test_numbers_that_sizes_never_exceed(size, most):
    assert _most(size) == most


@pytest.mark.parametrize(
    ("sizes", "strides", "joined"),
    [
        ((3, 32, 16), (512, 16, 1), True),
        ((3, 32, 16), (1024, 16, 1), False),
        ((3, 32, 16), (16, 48, 1), False),
        ((3, 32, 16), (0, 16, 1), False),
        ((3, 0, 16), (16, 16, 1), False),
        ((2**16, 2**15 - 1, 16), ((2**15 - 1) * 16, 16, 1), True),
        ((2**16, 2**15, 16), (2**19, 16, 1), False),  # 32 bits do not count the rows
        ((S, 32, 16), (512, 16, 1), False),
        ((3, S, 16), (512, 16, 1), False),
        ((3, 32, 16), (S, 16, 1), False),
        ((3, 32, 16), (512, S, 1), False),
    ],
)
def test_which_dimensions_lie_around_each_other(sizes, strides, joined):
    tensor = HostTensor("x", "x", torch.float32, sizes, strides, 0)
    outer, inner = (BlockDim(d, 0, None, None, True) for d in (0, 1))
    assert _lies_around(tensor, (outer,), (inner,)) is joined


def test_joined_dimensions_compile():
    bound = batched.bind((torch.randn(3, 128, 64).bfloat16(), torch.randn(3, 64, 128).bfloat16()))
    config = config_of(1, 64, 64, 32)
    assert set(descriptors(bound, 1, 64, 64, 32).values()) == {WHOLE}
    assert bound.compile_for("sm_90", config).matrix_instructions["tma"] > 0


def test_printed_code_joins_them_too():
    x = torch.randn(3, 32, 48)
    text = batched.bind((x, torch.randn(3, 48, 16))).generate(config_of(1, 16, 16, 16)).module_text()
    assert "_descriptor(args[0], [[0, 1], [2]], [16, 16])" in text
    begin = text.index("from triton.tools.tensor_descriptor")
    space: dict[str, Any] = {"torch": torch}
    exec(text[begin : text.index("def _launch")], space)
    made = space["_descriptor"](x, [[0, 1], [2]], [16, 16])
    assert (made.shape, made.strides, made.block_shape) == ([96, 48], [48, 1], [16, 16])
