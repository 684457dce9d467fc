"""What the functions of `helion.language` record while tracing, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .. import exc, location
from . import memory
from .constants import constant
from .operators import escape, movement, products, random, scans
from .operators.combine import reduce_with, scan
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


def _tile(attribute: str) -> Callable[..., Any]:
    def read(tracer: Tracer, tile: Any) -> Any:
        if not isinstance(tile, Tile):
            raise exc.InvalidArgument(
                what=f"hl.tile_{attribute} of {tracer.describe(tile)}", instead="give the tile of an hl.tile loop",
                location=location.here(),
            )  # fmt: skip
        return getattr(tile, attribute)

    return read


def _arange(tracer: Tracer, args: Sequence[Any], dtype: torch.dtype | None) -> TileTensor:
    sizes = [a.block_size if isinstance(a, Tile) else a for a in args]
    return torch.arange(*sizes, dtype=dtype or torch.int32)  # type: ignore[return-value]


def _value(tracer: Tracer, value: Any, function: str) -> TileTensor:
    if isinstance(value, Tile):
        return tracer.tile_index(value)
    if not isinstance(value, TileTensor):
        raise exc.InvalidArgument(
            what=f"{function} of {tracer.describe(value)}", instead="give a device value", location=location.here()
        )
    return value


def _join(tracer: Tracer, a: Any, b: Any) -> TileTensor:
    return movement.join(tracer, _value(tracer, a, "hl.join"), _value(tracer, b, "hl.join"))


def _split(tracer: Tracer, x: Any) -> tuple[TileTensor, TileTensor]:
    return movement.split(tracer, _value(tracer, x, "hl.split"))


def _subscript(tracer: Tracer, x: Any, index: Any) -> Any:
    return _value(tracer, x, "hl.subscript")[tuple(index) if isinstance(index, (list, tuple)) else index]


def _reduce(tracer: Tracer, function: Any, x: Any, dim: int | None, other: Any, keep_dims: bool) -> Any:
    tensors = list(x) if isinstance(x, (tuple, list)) else [x]
    fills = list(other) if isinstance(other, (tuple, list)) else [other] * len(tensors)
    if len(fills) != len(tensors):
        raise exc.InvalidArgument(
            what=f"{len(fills)} values of `other` for {len(tensors)} inputs", location=location.here(),
            instead="give one number, or one per input",
        )  # fmt: skip
    results = reduce_with(tracer, function, tensors, constant(tracer, dim), fills, keep_dims)
    return results if isinstance(x, (tuple, list)) else results[0]


def _scan(tracer: Tracer, function: Any, x: Any, dim: int, reverse: bool) -> Any:
    tensors = list(x) if isinstance(x, (tuple, list)) else [x]
    results = scan(tracer, function, tensors, constant(tracer, dim), reverse)
    return results if isinstance(x, (tuple, list)) else results[0]


def _cumulative(kind: str) -> Callable[..., Any]:
    def run(tracer: Tracer, x: Any, dim: int, reverse: bool) -> TileTensor:
        return scans.running(tracer, kind, _value(tracer, x, f"hl.cum{kind}"), constant(tracer, dim), None, reverse)

    return run


def _rand(tracer: Tracer, shape: Any, seed: Any) -> TileTensor:
    return random.draw(tracer, "rand", tracer.dims_of(shape), random.seed_value(tracer, seed))


def _randint(tracer: Tracer, shape: Any, low: Any, high: Any, seed: Any) -> TileTensor:
    return random.integers(tracer, tracer.dims_of(shape), low, high, random.seed_value(tracer, seed), torch.int32)


def _rand4x(tracer: Tracer, shape: Any, seed: Any) -> tuple[TileTensor, ...]:
    return random.draw4(tracer, tracer.dims_of(shape), random.seed_value(tracer, seed))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "load": memory.load, "store": memory.store, "atomic": memory.atomic, "stacktensor_like": memory.stacktensor_like,
    "dot_scaled": products.dot_scaled, "reduce": _reduce, "associative_scan": _scan, "cumsum": _cumulative("sum"),
    "cumprod": _cumulative("prod"), "join": _join, "split": _split, "subscript": _subscript, "arange": _arange,
    "rand": _rand, "randint": _randint, "rand4x": _rand4x, "inline_asm_elementwise": escape.inline_asm,
    "inline_triton": escape.inline_triton, "triton_kernel": escape.triton_kernel, "device_print": escape.device_print,
    **{f"tile_{name}": _tile(name) for name in ("index", "begin", "end", "block_size", "id", "count")},
}  # fmt: skip
