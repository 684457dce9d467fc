"""Functions of `hl` that compute, and reshapes of tiles: through Triton's interpreter against eager PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

ROWS = helion.Config(block_sizes=[16])


def run_rows(function: Any, *inputs: torch.Tensor, like: Any) -> Any:
    """`function` of [tile, ...] of every input, stored to tensors like `like`."""
    outs = [torch.full_like(t, 77) for t in (like if isinstance(like, tuple) else (like,))]
    rows.reset()
    rows(list(inputs), outs, function)
    return tuple(outs) if isinstance(like, tuple) else outs[0]


@helion.kernel(config=ROWS)
def rows(inputs, outs, function):
    for tile in hl.tile(inputs[0].size(0)):
        values = function(*[x[tile, ...] for x in inputs])
        for out, value in zip(outs, values if isinstance(values, tuple) else (values,), strict=True):
            out[tile, ...] = value


# --- reductions and scans by one's own functions


def larger(a, b):
    return torch.where(a > b, a, b)


def larger_with_index(a, i, b, j):
    take = (b > a) | ((b == a) & (j < i))
    return torch.where(take, b, a), torch.where(take, j, i)


def larger_of_pairs(left, right):
    return larger_with_index(*left, *right)


def test_reduce() -> None:
    x = torch.randn(21, 23) - 5
    like = x[:, 0]
    out = run_rows(lambda v: hl.reduce(larger, v, dim=1, other=float("-inf")), x, like=like)
    torch.testing.assert_close(out, x.amax(1))
    out = run_rows(lambda v: hl.reduce(lambda a, b: a + b, v, 1), x, like=like)
    torch.testing.assert_close(out, x.sum(1), rtol=1e-5, atol=1e-5)
    kept = run_rows(lambda v: v - hl.reduce(larger, v, 1, other=float("-inf"), keep_dims=True), x, like=x)
    torch.testing.assert_close(kept, x - x.amax(1, keepdim=True))


@pytest.mark.parametrize("combine", [larger_with_index, larger_of_pairs])
def test_reduce_of_a_tuple(combine: Any) -> None:
    x = torch.randint(-9, 0, (21, 23)).float()

    def arg_max(v: Any) -> Any:
        at = torch.arange(23, dtype=torch.int32)[None, :].expand_as(v)
        return hl.reduce(combine, (v, at), dim=-1, other=(float("-inf"), 2**30))

    values, found = run_rows(arg_max, x, like=(x[:, 0], torch.empty(21, dtype=torch.int32)))
    torch.testing.assert_close(values, x.amax(1))
    assert torch.equal(found, x.argmax(1).int())


def test_reductions_of_one_row_stay_one_dimensional() -> None:
    """As sums do: a dim of one lane would cost a change of layout, through shared memory."""

    @helion.kernel(config=helion.Config(block_sizes=[1]))
    def both_sums(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        a, b, c = (torch.empty_like(x[:, 0]) for _ in range(3))
        for tile in hl.tile(x.size(0)):
            row = x[tile, :]
            a[tile], b[tile] = hl.reduce(lambda a, b, c, d: (a + c, b + d), (row, row * row), -1)
            c[tile] = hl.reduce(larger, row, 0, other=float("-inf")).sum(0)  # over the dim of one lane
        return a, b, c

    x = torch.randn(5, 23)
    for found, expected in zip(both_sums(x), (x.sum(1), (x * x).sum(1), x.sum(1)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    code = both_sums.bind((x,)).to_triton_code(helion.Config(block_sizes=[1]))
    body = code.split("def both_sums")[0]
    assert (
        body.count("tl.reduce(") == body.count("def combine") == 1
        and "reshape" not in body
        and "None" not in body.split("_helion_both_sums")[1]
    )


@pytest.mark.parametrize("rows", [1, 2])
def test_what_was_reduced_stays_as_it_was_when_its_source_changes(rows: int) -> None:
    """Also where a tile has one row, whose reduction is the row itself."""

    @helion.kernel(config=helion.Config(block_sizes=[rows, 8]))
    def sums_before(x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros([2, x.size(2)], dtype=x.dtype, device=x.device)
        for tile_m, tile_n in hl.tile([x.size(0), x.size(2)]):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            both = [hl.zeros([tile_n], dtype=torch.float32) for _ in range(2)]
            for step in hl.grid(x.size(1)):
                one = hl.reduce(lambda a, b: a + b, acc, 0)
                two, three = hl.reduce(lambda a, b, c, d: (a + c, b + d), (acc, acc), 0)
                acc = acc + x[tile_m, step, tile_n]
                both = [both[0] + one * 2, both[1] + two + three]
            out[0, tile_n] = both[0]
            out[1, tile_n] = both[1]
        return out

    x = torch.randn(1, 4, 8)
    expected = 2 * (x[0].cumsum(0) - x[0]).sum(0)
    torch.testing.assert_close(sums_before(x), expected.expand(2, -1), rtol=1e-5, atol=1e-5)


def test_identities_are_numbers_that_the_dtype_holds() -> None:
    x = torch.randint(0, 99, (21, 23), dtype=torch.uint8)

    def largest(other: Any) -> Any:
        return lambda v: hl.reduce(larger, v, 1, other=other)

    assert torch.equal(run_rows(largest(0.0), x, like=x[:, 0]), x.amax(1))
    for other in (-1, 256, 0.5, float("-inf"), "0", None):
        with pytest.raises(exc.InvalidArgument, match=r"`other` of a reduction of torch\.uint8"):
            run_rows(largest(other), x, like=x[:, 0])

    @helion.kernel(use_default_config=True)
    def by_the_caller(x, other):
        out = x.new_empty([x.size(0)])
        for tile in hl.tile(x.size(0)):
            out[tile] = hl.reduce(larger, x[tile, :], 1, other=other)
        return out

    for other in (3, 7, 2.0):
        assert torch.equal(by_the_caller(x, other), x.amax(1))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint8], ids=str)
def test_sums_in_narrow_integers_wrap_around(dtype) -> None:
    @helion.kernel(config=helion.Config(block_sizes=[16]))
    def largest_sum(x):
        out = x.new_empty([x.size(0)])
        for tile in hl.tile(x.size(0)):
            most = hl.full([tile], 3, dtype=x.dtype)
            for k in range(2 + tile.id):
                most = torch.maximum(most, (x[tile, :] + k).sum(1, dtype=x.dtype))
            out[tile] = most
        return out

    x = (torch.arange(16 * 19).reshape(16, 19) * 37).to(dtype)
    expected = torch.stack([(x + k).sum(1, dtype=dtype) for k in range(2)]).amax(0).clamp(min=3)
    assert torch.equal(largest_sum(x), expected)
    assert largest_sum.bind((x,)).compile_for(parse_target("sm_90")).code_size > 0


@helion.kernel(config=helion.Config(block_sizes=[32]))
def reduce_tile(x, out):
    for tile in hl.tile(x.size(1)):
        out[0, tile] = hl.reduce(larger, x[:, tile], 0, other=float("-inf"))
        out[1, 0] = hl.reduce(lambda a, b: a + b, x[:, tile], None)


def test_reduce_over_all_dims_counts_each_lane_once() -> None:
    x, out = torch.randn(5, 21), torch.zeros(2, 21)
    reduce_tile(x, out)
    torch.testing.assert_close(out[0], x.amax(0))
    torch.testing.assert_close(out[1, 0], x.sum(), rtol=1e-5, atol=1e-5)


def segment(a, i, b, j):
    return torch.where(i == j, a + b, b), j


@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(reverse: bool) -> None:
    x, keys = torch.randn(21, 23), torch.randint(0, 4, (21, 23)).sort(1)[0].int()

    def scanned(v: Any, k: Any) -> Any:
        return hl.associative_scan(segment, (v, k), dim=1, reverse=reverse)[0]

    out = run_rows(scanned, x, keys, like=x)
    expected = torch.empty_like(x)
    order = range(22, -1, -1) if reverse else range(23)
    for row in range(21):
        total, last = 0.0, None
        for column in order:
            key = keys[row, column].item()
            total = total + x[row, column] if key == last else x[row, column]
            last = key
            expected[row, column] = total
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@helion.kernel(config=helion.Config(block_sizes=[32]))
def scan_tiles(x, out):
    for tile in hl.tile(x.size(1)):
        out[0, :, tile] = hl.associative_scan(larger, x[:, tile], 1, reverse=True)
        out[1, :, tile] = hl.cumsum(x[:, tile], 1, reverse=True)
        out[2, :, tile] = hl.cumprod(x[:, tile], 1)


def test_scans_along_a_partial_tile() -> None:
    x = torch.rand(3, 21) - 2
    out = torch.empty(3, 3, 21)
    scan_tiles(x, out)
    torch.testing.assert_close(out[0], x.flip(1).cummax(1)[0].flip(1))
    torch.testing.assert_close(out[1], x.flip(1).cumsum(1).flip(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(out[2], x.cumprod(1), rtol=1e-5, atol=1e-5)


def test_combine_functions_are_closed() -> None:
    x = torch.randn(21, 23)
    with pytest.raises(exc.UnsupportedOperation, match="combine function"):
        run_rows(lambda v: hl.reduce(lambda a, b: a + b * v.size(0), v, 1), x, like=x[:, 0])
    with pytest.raises(exc.StaleValue):
        run_rows(lambda v: hl.reduce(lambda a, b: a + b * v.sum(), v, 1), x, like=x[:, 0])
    with pytest.raises(exc.ShapeMismatch, match="2 results"):
        run_rows(lambda v: hl.reduce(lambda a, b: (a, b), v, 1), x, like=x[:, 0])


# --- views


def test_join_split_subscript_and_tile_functions() -> None:
    x, y = torch.randn(21, 16), torch.randn(21, 16)
    joined = run_rows(lambda a, b: hl.join(a, b), x, y, like=torch.empty(21, 16, 2))
    torch.testing.assert_close(joined, torch.stack([x, y], -1))
    left, right = run_rows(lambda a: hl.split(a.reshape(-1, 8, 2)), x, like=(x[:, :8], x[:, :8]))
    torch.testing.assert_close(left, x[:, ::2])
    torch.testing.assert_close(right, x[:, 1::2])
    raised = run_rows(lambda a: hl.subscript(a, [slice(None), None, slice(None)]) * 2, x, like=torch.empty(21, 1, 16))
    torch.testing.assert_close(raised, x[:, None] * 2)
    with pytest.raises(exc.ShapeMismatch):
        run_rows(lambda a: hl.split(a), x, like=(x, x))


@helion.kernel(config=ROWS)
def tile_facts(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile, 0] = hl.tile_index(tile)
        out[tile, 1] = hl.tile_begin(tile) + hl.zeros([tile], torch.int32)
        out[tile, 2] = hl.tile_end(tile) + hl.zeros([tile], torch.int32)
        out[tile, 3] = hl.tile_block_size(tile) + hl.zeros([tile], torch.int32)
        out[tile, 4] = hl.tile_id(tile) + hl.zeros([tile], torch.int32)
        out[tile, 5] = hl.tile_count(tile) + hl.arange(tile.block_size)


def test_tile_functions() -> None:
    x, out = torch.empty(21), torch.empty(21, 6, dtype=torch.int32)
    tile_facts(x, out)
    index = torch.arange(21)
    last = index >= 16
    expected = [index, last * 16, torch.where(last, 21, 16), torch.full((21,), 16), last.long(), 2 + index % 16]
    assert torch.equal(out, torch.stack(expected, 1).int())


# --- reshapes of tiles carry the mask, or are refused


@helion.kernel(config=ROWS)
def merge_tile(x, out):
    for tile in hl.tile(x.size(0)):
        flat = (x[tile, :] + 1).reshape(-1)
        hl.atomic_add(out, [0], flat.sum())
        hl.atomic_add(out, [1], flat.amax())


def test_merged_tile_is_masked() -> None:
    x, out = torch.rand(21, 8), torch.zeros(2)
    merge_tile(x, out)
    torch.testing.assert_close(out[0], (x + 1).sum(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(out[1], (x[:16] + 1).amax() + (x[16:] + 1).amax())


@helion.kernel(config=ROWS)
def split_tile(x, out):
    for tile in hl.tile(x.size(0)):
        pairs = (x[tile] + 1).reshape(-1, 4)
        hl.atomic_add(out, [0], pairs.sum(0).amax())
        hl.atomic_add(out, [1], pairs.amax(1).sum())


def test_split_tile_is_masked() -> None:
    x, out = torch.rand(20), torch.zeros(2)
    split_tile(x, out)
    pairs = (x + 1).reshape(5, 4)
    torch.testing.assert_close(out[0], pairs[:4].sum(0).amax() + pairs[4:].sum(0).amax())
    torch.testing.assert_close(out[1], pairs.amax(1).sum())
    with pytest.raises(exc.UnsupportedReshape):
        split_tile(torch.rand(21), out)  # the last tile would end within a group of four


@helion.kernel(config=helion.Config(block_sizes=[16, 16]))
def merge_two_tiles(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        hl.atomic_add(out, [0], x[tile_m, tile_n].reshape(-1).sum())


def test_merging_two_tiles_is_refused() -> None:
    with pytest.raises(exc.UnsupportedReshape) as caught:
        merge_two_tiles(torch.rand(21, 21), torch.zeros(1))
    assert caught.value.location.line == merge_two_tiles.fn.__code__.co_firstlineno + 3


@pytest.mark.parametrize(
    ("function", "columns"),
    [(lambda v: v.reshape(-1, 5, 3), 15), (lambda v: torch.cat([v[:, None], v[:, None]], 1).reshape(-1, 46), 23)],
)
def test_reshapes_that_would_mix_padding_are_refused(function: Any, columns: int) -> None:
    x = torch.randn(21, columns)
    with pytest.raises(exc.UnsupportedReshape):
        run_rows(function, x, like=function(x))


@helion.kernel(config=helion.Config(block_sizes=[16, 32]))
def positions_in_tiles(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        v = x[tile_m, tile_n]
        out[tile_m.id, 0] = v.argmax()
        out[tile_m.id, 1] = v.half().argmin()


def test_arg_reductions_over_all_dims_of_partial_tiles() -> None:
    x = torch.stack([torch.randperm(27) for _ in range(21)]) - torch.arange(21)[:, None] * 30.0
    x[3, 7], x[18, 20], x[5, 26], x[17, 2] = 900, 901, -1900, -1901
    out = torch.zeros(2, 2, dtype=torch.int64)
    positions_in_tiles(x, out)
    expected = [[3 * 27 + 7, 5 * 27 + 26], [2 * 27 + 20, 1 * 27 + 2]]
    assert out.tolist() == expected


@helion.kernel(config=helion.Config(block_sizes=[32]))
def flip_tile(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile, 0] = x[tile].flip(0)
        out[tile, 1] = x[tile].roll(3, 0)
        out[tile, 2] = x[tile].sort()[0]
        out[tile, 3] = x[tile].argsort(descending=True)
        out[tile, 4] = x[tile][0] + hl.zeros([tile])


def test_movement_within_a_partial_tile() -> None:
    x, out = torch.randn(21), torch.empty(21, 5)
    flip_tile(x, out)
    expected = [x.flip(0), x.roll(3, 0), x.sort()[0], x.argsort(descending=True).float(), x[0].expand(21)]
    torch.testing.assert_close(out, torch.stack(expected, 1))


# --- products


def multiply(
    a: torch.Tensor, b: torch.Tensor, acc: torch.Tensor | None, out_dtype: Any, like: torch.Tensor
) -> torch.Tensor:
    out = torch.empty_like(like)
    kernel = dot_kernel if acc is None else dot_acc_kernel
    kernel.reset()
    kernel(*((a, b, out_dtype, out) if acc is None else (a, b, acc, out_dtype, out)))
    return out


@helion.kernel(config=helion.Config(block_sizes=[32, 32, 32]))
def dot_kernel(a, b, out_dtype, out):
    for tile_m, tile_n in hl.tile(out.shape):
        acc = hl.zeros([tile_m, tile_n], dtype=out.dtype)
        for tile_k in hl.tile(a.size(1)):
            acc = acc + hl.dot(a[tile_m, tile_k], b[tile_k, tile_n], out_dtype=out_dtype)
        out[tile_m, tile_n] = acc


@helion.kernel(config=helion.Config(block_sizes=[32, 32, 32]))
def dot_acc_kernel(a, b, seed, out_dtype, out):
    for tile_m, tile_n in hl.tile(out.shape):
        acc = seed[tile_m, tile_n]
        for tile_k in hl.tile(a.size(1)):
            acc = hl.dot(a[tile_m, tile_k], b[tile_k, tile_n], acc=acc, out_dtype=out_dtype)
        out[tile_m, tile_n] = acc


@pytest.mark.parametrize(
    ("dtype", "out_dtype"),
    [
        (torch.float32, None), (torch.float16, None), (torch.bfloat16, None), (torch.int8, None),
        (torch.float8_e4m3fn, None),
        (torch.float8_e5m2, None), (torch.float16, torch.float16), (torch.float32, torch.float32),
    ],
)  # fmt: skip
@pytest.mark.parametrize("with_acc", [False, True])
def test_dot(dtype: torch.dtype, out_dtype: Any, with_acc: bool) -> None:
    if dtype is torch.int8:
        a, b = torch.randint(-9, 9, (45, 37), dtype=dtype), torch.randint(-9, 9, (37, 50), dtype=dtype)
    else:
        a, b = torch.randn(45, 37).to(dtype), torch.randn(37, 50).to(dtype)
    wide = out_dtype or (torch.int32 if dtype is torch.int8 else torch.float32)
    exact = a.double() @ b.double()
    acc = torch.randint(-5, 5, exact.shape).to(wide) if with_acc else None
    out = multiply(a, b, acc, out_dtype, exact.to(wide))
    expected = exact if acc is None else exact + acc.double()
    tolerance = 2e-2 if wide is torch.float16 else 1e-4
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=tolerance)


def test_sums_become_accumulators_only_where_nothing_rounds_differently() -> None:
    a, b = torch.randn(45, 37), torch.randn(37, 50)
    code = dot_kernel.bind((a, b, None, torch.empty(45, 50))).to_triton_code()
    assert "acc=acc" in code
    half = rounding_sum.bind((a.half(), b.half(), torch.empty(45, 50))).to_triton_code()
    assert "acc=" not in half.replace("acc = ", "")


@helion.kernel(config=helion.Config(block_sizes=[32, 32, 32]))
def rounding_sum(a, b, out):
    for tile_m, tile_n in hl.tile(out.shape):
        acc = hl.zeros([tile_m, tile_n])
        for tile_k in hl.tile(a.size(1)):
            acc = acc + a[tile_m, tile_k] @ b[tile_k, tile_n]  # the product is rounded to float16 first
        out[tile_m, tile_n] = acc


@helion.kernel(config=helion.Config(block_sizes=[16, 32]))
def scaled_products(a, a_scale, b, b_scale, kind, out):
    for tile_m, tile_n in hl.tile(out.shape):
        acc = hl.full([tile_m, tile_n], 1.0)
        out[tile_m, tile_n] = hl.dot_scaled(
            a[tile_m, :], a_scale[tile_m, :], kind, b[:, tile_n], b_scale[tile_n, :], kind, acc=acc
        )


E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


@pytest.mark.parametrize("kind", ["e4m3", "e2m1", "bf16"])
def test_dot_scaled(kind: str) -> None:
    m, n, k = 16, 32, 64
    a_scale, b_scale = torch.randint(124, 130, (m, k // 32)).byte(), torch.randint(124, 130, (n, k // 32)).byte()
    if kind == "e2m1":
        a, b = torch.randint(0, 256, (m, k // 2)).byte(), torch.randint(0, 256, (k // 2, n)).byte()
        table = torch.tensor(E2M1)
        left = torch.stack([table[(a & 15).long()], table[(a >> 4).long()]], 2).reshape(m, k)
        right = torch.stack([table[(b & 15).long()], table[(b >> 4).long()]], 1).reshape(k, n)
    else:
        dtype = torch.float8_e4m3fn if kind == "e4m3" else torch.bfloat16
        a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
        left, right = a.float(), b.float()
    out = torch.empty(m, n)
    scaled_products.reset()
    scaled_products(a, a_scale, b, b_scale, kind, out)
    left = left * torch.exp2(a_scale.float() - 127).repeat_interleave(32, 1)
    right = right * torch.exp2(b_scale.float() - 127).repeat_interleave(32, 1).T
    torch.testing.assert_close(out, left @ right + 1, rtol=1e-4, atol=1e-4)


def test_dot_scaled_checks_its_formats() -> None:
    scale = torch.zeros(32, 2).byte()
    with pytest.raises(exc.DtypeMismatch):
        scaled_products(torch.randn(32, 64), scale, torch.randn(64, 32), scale, "e4m3", torch.empty(32, 32))


@helion.kernel(use_default_config=True)
def einsum_of_tiles(a, b, scores, spread):
    for tile_b, tile_h, tile_m, tile_n in hl.tile(scores.size()):
        left, right = a[tile_b, tile_h, tile_m, :], b[tile_b, tile_h, tile_n, :]
        scores[tile_b, tile_h, tile_m, tile_n] = torch.einsum("bhqd, bhkd -> bhqk", left, right)
        spread[tile_h, tile_n, tile_b, tile_m] = torch.einsum("bhqd,bhkd->hkbq", [left, right])


def test_einsum_of_tiles_with_several_batches() -> None:
    a, b = torch.randn(2, 3, 13, 10), torch.randn(2, 3, 9, 10)
    scores, spread = torch.empty(2, 3, 13, 9), torch.empty(3, 9, 2, 13)
    einsum_of_tiles(a, b, scores, spread)
    expected = torch.einsum("bhqd,bhkd->bhqk", a, b)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(spread, expected.permute(1, 3, 0, 2), rtol=1e-4, atol=1e-4)
    for target in ("sm_90", "gfx942"):
        assert einsum_of_tiles.bind((a, b, scores, spread)).compile_for(parse_target(target)).code_size > 0


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [
        ("ik,bkl->bil", (13, 10), (2, 10, 5)), ("bkl,ik", (2, 10, 5), (13, 10)),
        ("ik,kabc->ciab", (13, 6), (6, 2, 3, 4)),
        ("aibk,kcx->bica", (2, 13, 3, 6), (6, 4, 3)), ("abk,abk->ab", (2, 3, 6), (2, 3, 6)),
        ("abk,abkl->lab", (2, 3, 6), (2, 3, 6, 5)),
    ],
)  # fmt: skip
def test_einsum_of_whole_tensors(equation: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    @helion.kernel(use_default_config=True)
    def whole(a, b, out):
        for _ in hl.grid(1):
            out[...] = torch.einsum(equation, a[...], b[...])

    a, b = torch.randn(left), torch.randn(right)
    expected = torch.einsum(equation, a, b)
    out = torch.empty(expected.shape)
    whole(a, b, out)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


def test_einsum_of_sizes_that_differ() -> None:
    with pytest.raises(exc.ShapeMismatch, match="multiply"):
        einsum_of_tiles(
            torch.randn(2, 3, 13, 10), torch.randn(2, 3, 9, 11), torch.empty(2, 3, 13, 9), torch.empty(3, 9, 2, 13)
        )


# --- lookups of host tables


@helion.kernel(config=ROWS)
def lookups(index, table, edges, x, out, places):
    for tile in hl.tile(index.size(0)):
        out[tile, :] = torch.nn.functional.embedding(index[tile], table) + torch.index_select(table, 0, index[tile])
        places[tile, 0] = torch.bucketize(x[tile], edges)
        places[tile, 1] = torch.searchsorted(edges, x[tile], right=True)
        places[tile, 2] = torch.isin(index[tile], index[2:7])


def test_lookups() -> None:
    index, table, x = torch.randint(0, 30, (21,)), torch.randn(30, 11), torch.randn(21).round(decimals=1)
    edges = torch.linspace(-1, 1, 11).round(decimals=1)
    out, places = torch.empty(21, 11), torch.empty(21, 3, dtype=torch.int64)
    lookups(index, table, edges, x, out, places)
    torch.testing.assert_close(out, table[index] * 2)
    expected = [
        torch.bucketize(x, edges),
        torch.searchsorted(edges, x, right=True),
        torch.isin(index, index[2:7]).long(),
    ]
    assert torch.equal(places, torch.stack(expected, 1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int64], ids=str)
def test_quotients_by_numbers(dtype) -> None:
    x = torch.arange(-30, 30, 3).to(dtype).reshape(4, 5)
    for function in (
        lambda v: v // 3, lambda v: v % 7, lambda v: torch.fmod(v, 5), lambda v: 100 // (v | 1),
        lambda v: torch.div(v, 4, rounding_mode="trunc"), lambda v: v % -4, lambda v: v.clamp(-7, 7),
    ):  # fmt: skip
        assert torch.equal(run_rows(function, x, like=x), function(x))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint8], ids=str)
@pytest.mark.parametrize("function", [lambda v: v // 3, lambda v: v.clamp(2, 20), torch.relu, lambda v: v.clamp(max=5)])
def test_numbers_beside_narrow_integers_do_not_widen_them(function, dtype) -> None:
    """Neither a block pointer nor what a loop carries takes an int32 in their place."""

    @helion.kernel(config=helion.Config(block_sizes=[16], indexing="block_ptr"))
    def thrice(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            v = x[tile]
            for _ in range(1, 4 + tile.id):
                v = function(v)
            out[tile] = v
        return out

    x = torch.arange(64).to(dtype) * 3
    torch.testing.assert_close(thrice(x)[:16], function(function(function(x)))[:16])
    assert thrice.bind((x,)).compile_for(parse_target("sm_90")).code_size > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_sign_of_zero(dtype):
    """Triton's own literals lose it."""

    @helion.kernel
    def zeros(x):
        product, like, where, full = (torch.empty_like(x) for _ in range(4))
        for tile in hl.tile(x.size()):
            product[tile] = x[tile] * -0.0
            like[tile] = torch.full_like(x[tile], -0.0)
            where[tile] = torch.where(x[tile] > 5, x[tile], -0.0)
            full[tile] = hl.full([tile], -0.0, dtype=x.dtype)
        return product, like, where, full

    for result in zeros(torch.ones(5, dtype=dtype)):
        assert torch.signbit(result).all() and (result == 0).all()


def test_equal_numbers_of_several_types_in_one_process():
    """To Python 2, 2.0 are equal, and so are 1 and True: what one gives is not what another does."""

    def times(number):
        @helion.kernel
        def product(x):
            out = torch.empty(x.size(), dtype=torch.float32, device=x.device)
            for tile in hl.tile(x.size()):
                y = x[tile] * number
                out[tile] = y / 0.5 if y.dtype is torch.float32 else y.to(torch.float32) - 1
            return out

        return product

    x = torch.arange(5)
    for number in (2, 2.0, 2, 1.0, True, 1, 0.0, 0, False):
        y = x * number
        torch.testing.assert_close(times(number)(x), y / 0.5 if y.dtype is torch.float32 else y.to(torch.float32) - 1)
    ones = torch.ones(5, dtype=torch.int64)
    assert not torch.signbit(times(0.0)(ones)).any() and torch.signbit(times(-0.0)(ones)).all()
