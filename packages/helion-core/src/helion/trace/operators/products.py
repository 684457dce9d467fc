"""Matrix products: everything becomes `ir.Dot` over the last two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import exc, ir, location
from ...ir import Dim, Value
from .. import jagged, shapes
from ..indexing import load_scalar
from ..values import TileTensor
from . import depth
from .pointwise import cast
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer

_INT = (torch.int8, torch.uint8)
_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def dot(tracer: Tracer, a: TileTensor, b: TileTensor, acc: Any = None, out_dtype: Any = None) -> TileTensor:
    """`a @ b (+ acc)`, in `out_dtype` (int32 for int8 operands, else float32, or the accumulator's dtype)."""
    left, right = _operands(tracer, a, b)
    dims = _result_dims(tracer, left, right)
    depth.check(tracer, left, right)
    if tracer.jagged:
        left, right = _within_rows(tracer, a, b)
    if shapes.is_one(left.shape[-1]):
        return _outer(tracer, a, b, acc, out_dtype)
    wide = torch.int32 if left.dtype in _INT else torch.float64 if left.dtype is torch.float64 else torch.float32
    dtype = out_dtype or (acc.dtype if isinstance(acc, TileTensor) else wide)
    inputs = [left, right]
    seed = None
    if acc is not None:
        seed = tracer.value(acc if isinstance(acc, TileTensor) else tracer.full((), acc, wide))
        expanded = shapes.broadcast("dot accumulator", [dims, seed.dims], tracer.show_size)
        if len(expanded) != len(dims) or not all(
            shapes.same(x.size, y.size) for x, y in zip(expanded, dims, strict=True)
        ):
            raise exc.ShapeMismatch(
                op="dot", left=tracer.show(seed.shape), right=tracer.show([d.size for d in dims]), relation="agree",
                detail=" (the accumulator against the product)", help="give the accumulator the shape of the product",
                location=location.here(),
            )  # fmt: skip
        if seed.dtype == wide and tuple(d.size for d in seed.dims) == tuple(d.size for d in dims):
            inputs.append(seed)
            seed = None
    precision = tracer.settings.dot_precision if left.dtype is torch.float32 else None
    _need_minimum(tracer, left, right)
    result = tracer.emit(ir.Dot(precision=precision, inputs=tuple(inputs)), dims, wide)
    if seed is not None:
        return cast(tracer, cast(tracer, result, dtype) + cast(tracer, tracer.wrap(seed), dtype), dtype)
    return cast(tracer, result, dtype)


def _outer(tracer: Tracer, a: TileTensor, b: TileTensor, acc: Any, out_dtype: Any) -> TileTensor:
    """A product of depth 1 is elementwise."""
    wide = torch.int32 if a.dtype in _INT else torch.float64 if a.dtype is torch.float64 else torch.float32
    product = cast(tracer, a, wide) * cast(tracer, b, wide)
    if acc is not None:
        product = product + acc
    return cast(tracer, product, out_dtype or (acc.dtype if isinstance(acc, TileTensor) else wide))


def _within_rows(tracer: Tracer, a: TileTensor, b: TileTensor) -> tuple[Value, Value]:
    """The operands with zeros beyond the rows' ends, where their depth is jagged; one of them holds the rows."""
    sides = [(a, a.dim() - 1), (b, b.dim() - 2)]
    holds_rows = [jagged.inside(tracer, tracer.value(x).dims) is not None for x, _ in sides]
    left, right = (
        jagged.filled(tracer, x, depth, 0) if holds or not any(holds_rows) else x
        for (x, depth), holds in zip(sides, holds_rows, strict=True)
    )
    return tracer.value(left), tracer.value(right)


def _operands(tracer: Tracer, a: TileTensor, b: TileTensor) -> tuple[Value, Value]:
    left, right = tracer.value(a), tracer.value(b)
    if left.dtype != right.dtype and not (left.dtype in _FLOAT8 and right.dtype in _FLOAT8):
        raise exc.DtypeMismatch(
            op="matmul", problem=f"operands are {left.dtype} and {right.dtype}",
            instead="convert one of them with .to(dtype)", location=location.here(),
        )  # fmt: skip
    return left, right


def _result_dims(tracer: Tracer, left: Value, right: Value) -> tuple[Dim, ...]:
    if len(left.dims) < 2 or len(right.dims) < 2 or not shapes.same(left.shape[-1], right.shape[-2]):
        at = len(left.dims) >= 2 and len(right.dims) >= 2
        detail = ": both need two dimensions"
        if at:
            inner = left.shape[-1], right.shape[-2]
            detail = f": the inner sizes {tracer.show_size(inner[0])} and {tracer.show_size(inner[1])} differ"
        raise exc.ShapeMismatch(
            op="matmul", left=tracer.show(left.shape), right=tracer.show(right.shape), relation="multiply",
            detail=detail, help="the last size of the left must be the second last of the right",
            location=location.here(),
        )  # fmt: skip
    batch = shapes.broadcast("matmul", [left.dims[:-2], right.dims[:-2]], tracer.show_size)
    return (*batch, left.dims[-2], right.dims[-1])


def _need_minimum(tracer: Tracer, left: Value, right: Value) -> None:
    """Tensor cores want tiles of at least 16 by 16, 16 deep (32 for 8-bit). Fixed sizes are padded in depth only."""
    depth = 32 if left.dtype.itemsize == 1 else 16
    tracer.need_lanes(left.shape[-1], depth)
    for size in (left.shape[-2], right.shape[-1]):
        if not isinstance(size, int):
            tracer.need_lanes(size, 16)


def _like_eager(tracer: Tracer, a: TileTensor, product: TileTensor) -> TileTensor:
    """Products of half precision tensors have their dtype, as in eager."""
    return cast(tracer, product, a.dtype)


def matmul(tracer: Tracer, a: Any, b: Any) -> TileTensor:
    """`torch.matmul`: vectors, matrices and batches."""
    a, b = (x if isinstance(x, TileTensor) else _loaded(tracer, x) for x in (a, b))
    if a.dim() == 0 or b.dim() == 0:
        _result_dims(tracer, tracer.value(a), tracer.value(b))
    if a.dim() == 1 and b.dim() == 1:
        return (a * b).sum()
    if a.dim() == 1:
        return matmul(tracer, a.unsqueeze(0), b).squeeze(-2)
    if b.dim() == 1:
        return matmul(tracer, a, b.unsqueeze(1)).squeeze(-1)
    return _like_eager(tracer, a, dot(tracer, a, b))


def _loaded(tracer: Tracer, x: Any) -> TileTensor:
    return load_scalar(tracer, x, torch.matmul)


@handles(aten.mm.default, aten.bmm.default)
def _mm(tracer: Tracer, a: TileTensor, b: TileTensor) -> TileTensor:
    return _like_eager(tracer, a, dot(tracer, a, b))


@handles(aten.addmm.default, aten.baddbmm.default)
def _addmm(
    tracer: Tracer, acc: TileTensor, a: TileTensor, b: TileTensor, *, beta: Any = 1, alpha: Any = 1
) -> TileTensor:
    if beta == 1 and alpha == 1:
        return dot(tracer, a, b, acc, acc.dtype)
    product = dot(tracer, a, b) * alpha
    return cast(tracer, product + acc * beta if beta != 0 else product, acc.dtype)


def linear(tracer: Tracer, x: Any, weight: Any, bias: Any = None) -> TileTensor:
    """`torch.nn.functional.linear`: x @ weight.T + bias, the bias added before rounding to the dtype of x."""
    x, weight = (t if isinstance(t, TileTensor) else _loaded(tracer, t) for t in (x, weight))
    vector = x.dim() == 1
    product = dot(tracer, x.unsqueeze(0) if vector else x, weight.t())
    if bias is not None:
        product = product + bias
    result = _like_eager(tracer, x, product)
    return result.squeeze(0) if vector else result


_SCALED_DTYPES = {
    "e2m1": (torch.uint8,), "e4m3": (torch.float8_e4m3fn, torch.uint8), "e5m2": (torch.float8_e5m2, torch.uint8),
    "bf16": (torch.bfloat16,), "fp16": (torch.float16,),
}  # fmt: skip


def dot_scaled(
    tracer: Tracer, a: TileTensor, a_scale: Any, a_format: str, b: TileTensor, b_scale: Any, b_format: str, acc: Any,
    out_dtype: Any,
) -> TileTensor:  # fmt: skip
    """`hl.dot_scaled`: operands in formats narrower than a byte or a half, scaled per 32 elements along K."""
    left, right = tracer.value(a), tracer.value(b)
    for value, name in ((left, a_format), (right, b_format)):
        if value.dtype not in _SCALED_DTYPES.get(name, ()):
            allowed = "; ".join(
                f"{f}: {', '.join(str(d).removeprefix('torch.') for d in ds)}" for f, ds in _SCALED_DTYPES.items()
            )
            raise exc.DtypeMismatch(
                op="dot_scaled", problem=f"format {name!r} with {value.dtype}",
                instead=f"formats and dtypes: {allowed}",
                location=location.here(),
            )  # fmt: skip
    packing = [2 if f == "e2m1" else 1 for f in (a_format, b_format)]
    depths = (
        [left.shape[-1] * packing[0], right.shape[-2] * packing[1]]
        if len(left.dims) == len(right.dims) == 2
        else [0, 1]
    )
    if not shapes.same(*depths):
        raise exc.ShapeMismatch(
            op="dot_scaled", left=tracer.show(left.shape), right=tracer.show(right.shape), relation="multiply",
            detail=": the inner sizes differ" if depths != [0, 1] else ": both must be 2-D", location=location.here(),
            help="a is [M, K], b is [K, N]; e2m1 packs two along K",
        )  # fmt: skip
    inputs = [
        left,
        *_scale(tracer, a_scale, left.shape[0], depths[0]),
        right,
        *_scale(tracer, b_scale, right.shape[1], depths[0]),
    ]
    if acc is not None:
        inputs.append(tracer.value(cast(tracer, acc, torch.float32)))
    for size, lanes in ((left.shape[-2], 16), (right.shape[-1], 16), (left.shape[-1], 64 // packing[0])):
        tracer.need_lanes(size, lanes)
    op = ir.DotScaled(
        formats=(a_format, b_format), scaled=(a_scale is not None, b_scale is not None), inputs=tuple(inputs)
    )
    return cast(tracer, tracer.emit(op, (left.dims[0], right.dims[1]), torch.float32), out_dtype or torch.float32)


def _scale(tracer: Tracer, scale: Any, rows: ir.Size, depth: ir.Size) -> list[Value]:
    """The scales of one operand, [rows, depth / 32]."""
    if scale is None:
        return []
    value = tracer.value(scale)
    fits = len(value.dims) == 2 and shapes.same(value.shape[0], rows) and shapes.same(value.shape[1] * 32, depth)
    if not fits or value.dtype not in (torch.uint8, getattr(torch, "float8_e8m0fnu", torch.uint8)):
        raise exc.ShapeMismatch(
            op="dot_scaled", left=f"scales {value.dtype}{tracer.show(value.shape)}", relation="fit", detail="",
            right=tracer.show([rows, shapes.divide(depth, 32)]), help="scales are uint8, one per 32 elements along K",
            location=location.here(),
        )  # fmt: skip
    return [value]
