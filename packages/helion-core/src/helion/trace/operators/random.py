"""Random numbers: Philox by logical position, so that the same element gets the same number whatever the tile sizes.

Torch's own functions take a seed that the host draws from torch's generator at every call; each use in the kernel
has its own stream. Functions of `hl` take the user's seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy
import torch

from ... import exc, ir, location
from ...ir import Dim, HostScalar, Range, Size, Value
from ..indexing import load
from ..symbols import is_symbolic
from ..values import Tile, TileTensor
from .broadcast import along
from .inplace import update
from .pointwise import cast
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer

# Odd and beyond 32 bits: Triton compiles one variant for all of them.
_DRAW = "_torch.randint(2**32, 2**62, ()).item() * 2 + 1"


def fresh_seed(tracer: Tracer) -> TileTensor:
    """A 0-d int64 seed, other at every call of the kernel and at every use in it."""
    symbol = next((s for s, scalar in tracer.host_scalars.items() if scalar.source == _DRAW), None)
    if symbol is None:
        symbol = tracer.env.device_symbol()
        scalar = HostScalar("seed", _DRAW, symbol, is_float=False, is_wide=True)
        tracer.host_scalars[symbol] = scalar
        tracer.symbols[symbol] = scalar
    tracer.random_uses += 1
    return tracer.emit(ir.Scalar(expr=symbol + 2 * tracer.random_uses), (), torch.int64)


def seed_value(tracer: Tracer, seed: Any) -> TileTensor:
    """The user's seed (int, symbolic int, 0-d device value or 0-d host tensor) as a 0-d int64 value."""
    if isinstance(seed, TileTensor) and seed.dim() == 0:
        return cast(tracer, seed, torch.int64)
    if isinstance(seed, torch.Tensor) and not isinstance(seed, (TileTensor, Tile)) and seed.dim() == 0:
        return cast(tracer, load(tracer, seed, ()), torch.int64)
    if isinstance(seed, int) or is_symbolic(seed):
        return tracer.scalar(seed, torch.int64)
    raise exc.InvalidArgument(
        what=f"a seed of type {type(seed).__name__}",
        instead="give an int or a 0-d integer value",
        location=location.here(),
    )


def _index(tracer: Tracer, dim: Dim) -> tuple[TileTensor | None, Size]:
    """The logical indices of a dim and how many there are."""
    if dim.size == 1 and not dim.ranges:
        return None, 1
    ranges = [r for r in dim.ranges if not r.full] or list(dim.ranges)
    if not ranges and isinstance(dim.size, int):
        return tracer.emit(ir.Iota(start=0, step=1), (dim,), torch.int32), dim.size
    if not ranges:
        found = [r for r in tracer.symbols.values() if isinstance(r, Range) and r.width == dim.size]
        if len(found) != 1:
            raise exc.InvalidArgument(
                what=f"the size {tracer.show_size(dim.size)} of a random tensor", location=location.here(),
                instead="name the tile itself in the shape, so that positions are known: torch.rand([tile, 8])",
            )  # fmt: skip
        ranges = found
    r = min(ranges, key=lambda r: r.id)
    if r.full:
        return tracer.emit(ir.Iota(start=0, step=1), (dim,), torch.int32), r.end
    return tracer.emit(ir.Indices(range=r), (dim,), torch.int32), r.end


def positions(tracer: Tracer, dims: Sequence[Dim]) -> TileTensor:
    """A different int for every logical position, the same for all tile sizes."""
    rank = len(dims)
    total: Any = None
    stride: Any = 1
    for k in reversed(range(rank)):
        index, count = _index(tracer, dims[k])
        if index is not None:
            term = along(index, rank, k)
            if stride != 1:
                term = term * (tracer.env.sym(stride) if isinstance(stride, sympy.Basic) else stride)
            total = term if total is None else total + term
        stride = stride * count
    if total is None:
        total = tracer.full((), 0, torch.int32)
    value = tracer.value(cast(tracer, total, torch.int32))
    if not value.dims and rank:
        return tracer.emit(ir.Full(fill=None, inputs=(value,)), dims, torch.int32)
    return (
        tracer.wrap(value) if value.dims == tuple(dims) else tracer.emit(ir.Expand(inputs=(value,)), dims, torch.int32)
    )


_DTYPES = {"rand": torch.float32, "randn": torch.float32, "randint": torch.int32}


def draw(tracer: Tracer, kind: str, dims: Sequence[Dim], seed: TileTensor) -> TileTensor:
    """Random numbers of `dims`: uniform in [0, 1), normal, or 32 random bits."""
    inputs = (tracer.value(seed), tracer.value(positions(tracer, dims)))
    return tracer.emit(ir.Random(kind=kind, inputs=inputs), dims, _DTYPES[kind])


def draw4(tracer: Tracer, dims: Sequence[Dim], seed: TileTensor) -> tuple[TileTensor, ...]:
    """Four uniform values from one run of Philox."""
    inputs = (tracer.value(seed), tracer.value(positions(tracer, dims)))
    results = tuple(Value(tuple(dims), torch.float32) for _ in range(4))
    tracer.record(ir.Random(kind="rand", inputs=inputs, results=results))
    return tuple(map(tracer.wrap, results))


def integers(
    tracer: Tracer, dims: Sequence[Dim], low: Any, high: Any, seed: TileTensor, dtype: torch.dtype
) -> TileTensor:
    """Uniform ints in [low, high)."""
    if isinstance(low, int) and isinstance(high, int) and high <= low:
        raise exc.InvalidArgument(
            what=f"randint from {low} to {high}", instead="give low < high", location=location.here()
        )
    bits = cast(tracer, draw(tracer, "randint", dims, seed), torch.int64) & 0xFFFFFFFF
    return cast(tracer, bits % (high - low) + low, dtype)


# --- torch functions that name a shape; seen before tiles turn into sizes


def _shape(size: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if not size and "size" in kwargs:
        return kwargs["size"]
    return size[0] if len(size) == 1 and isinstance(size[0], (list, tuple, torch.Size)) else list(size)


def _float(dtype: Any) -> torch.dtype:
    return dtype or torch.get_default_dtype()


def torch_rand(tracer: Tracer, *size: Any, dtype: Any = None, **kwargs: Any) -> TileTensor:
    dims = tracer.dims_of(_shape(size, kwargs))
    return cast(tracer, draw(tracer, "rand", dims, fresh_seed(tracer)), _float(dtype))


def torch_randn(tracer: Tracer, *size: Any, dtype: Any = None, **kwargs: Any) -> TileTensor:
    dims = tracer.dims_of(_shape(size, kwargs))
    return cast(tracer, draw(tracer, "randn", dims, fresh_seed(tracer)), _float(dtype))


def torch_randint(tracer: Tracer, *args: Any, dtype: Any = None, **kwargs: Any) -> TileTensor:
    named = [kwargs[name] for name in ("low", "high", "size") if name in kwargs]
    low, high, size = (0, *args, *named) if len(args) + len(named) == 2 else (*args, *named)
    return integers(tracer, tracer.dims_of(size), low, high, fresh_seed(tracer), dtype or torch.int64)


def _dims(tracer: Tracer, x: TileTensor) -> tuple[Dim, ...]:
    return tracer.value(x).dims


@handles(aten.rand_like.default)
def _rand_like(tracer: Tracer, x: TileTensor, *, dtype: Any = None, **_: Any) -> TileTensor:
    return cast(tracer, draw(tracer, "rand", _dims(tracer, x), fresh_seed(tracer)), dtype or x.dtype)


@handles(aten.randn_like.default)
def _randn_like(tracer: Tracer, x: TileTensor, *, dtype: Any = None, **_: Any) -> TileTensor:
    return cast(tracer, draw(tracer, "randn", _dims(tracer, x), fresh_seed(tracer)), dtype or x.dtype)


@handles(aten.randint_like.default)
def _randint_like(tracer: Tracer, x: TileTensor, high: Any, *, dtype: Any = None, **_: Any) -> TileTensor:
    return integers(tracer, _dims(tracer, x), 0, high, fresh_seed(tracer), dtype or x.dtype)


@handles(aten.randint_like.low_dtype)
def _randint_like_low(tracer: Tracer, x: TileTensor, low: Any, high: Any, *, dtype: Any = None, **_: Any) -> TileTensor:
    return integers(tracer, _dims(tracer, x), low, high, fresh_seed(tracer), dtype or x.dtype)


def _chance(tracer: Tracer, dims: Sequence[Dim], p: Any) -> TileTensor:
    """True with probability p."""
    return draw(tracer, "rand", dims, fresh_seed(tracer)) < p


@handles(aten.bernoulli.default)
def _bernoulli(tracer: Tracer, p: TileTensor, *, generator: Any = None) -> TileTensor:
    return cast(tracer, _chance(tracer, _dims(tracer, p), cast(tracer, p, torch.float32)), p.dtype)


@handles(aten.bernoulli.p)
def _bernoulli_p(tracer: Tracer, x: TileTensor, p: float, *, generator: Any = None) -> TileTensor:
    return cast(tracer, _chance(tracer, _dims(tracer, x), p), x.dtype)


@handles(aten.bernoulli_.float)
def _bernoulli_in_place(tracer: Tracer, x: TileTensor, p: float = 0.5, *, generator: Any = None) -> TileTensor:
    return update(tracer, x, _bernoulli_p(tracer, x, p))


@handles(aten.uniform_.default)
def _uniform(tracer: Tracer, x: TileTensor, low: float = 0, high: float = 1, *, generator: Any = None) -> TileTensor:
    return update(tracer, x, _rand_like(tracer, x, dtype=torch.float32) * (high - low) + low)


@handles(aten.normal_.default)
def _normal(tracer: Tracer, x: TileTensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> TileTensor:
    return update(tracer, x, _randn_like(tracer, x, dtype=torch.float32) * std + mean)


def dropout(tracer: Tracer, x: TileTensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> TileTensor:
    """`torch.nn.functional.dropout`."""
    if not training or p == 0:
        return x
    if p == 1:
        return torch.zeros_like(x)
    kept = draw(tracer, "rand", _dims(tracer, x), fresh_seed(tracer)) >= p
    return torch.where(kept, x * (1.0 / (1.0 - p)), torch.zeros_like(x))
