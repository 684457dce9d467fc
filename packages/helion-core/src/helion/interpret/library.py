"""What the functions of `helion.language` do when the kernel runs as plain PyTorch, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import torch

from .. import exc, location
from ..trace.operators.combine import takes
from . import indexing, philox
from .products import dot_scaled
from .tiles import EagerTile, TileSize, real_size


class OnDevice(Protocol):
    """The engine that runs the kernel, as far as these functions ask: where new tensors are to be."""

    device: torch.device


def _index(index: Any) -> Any:
    return tuple(index) if isinstance(index, list) else index


def _load(engine: OnDevice, tensor: Any, index: Any, mask: Any, eviction: str | None) -> Any:
    return indexing.load(tensor, _index(index), mask)


def _store(engine: OnDevice, tensor: Any, index: Any, value: Any, mask: Any) -> None:
    indexing.store(tensor, _index(index), value, mask)


_UPDATES: dict[str, Callable[..., Any]] = {
    "add": lambda old, new: old + new, "and": lambda old, new: old & new, "or": lambda old, new: old | new,
    "xor": lambda old, new: old ^ new, "max": torch.maximum, "min": torch.minimum, "xchg": lambda old, new: new,
    "cas": lambda old, expected, new: torch.where(old == expected, new, old),
}  # fmt: skip


def _atomic(engine: OnDevice, kind: str, tensor: torch.Tensor, index: Any, values: Any, sem: str) -> torch.Tensor:
    """One element after the other, as if the lanes came in order."""
    vectors, inside, shape = indexing.vectors(tensor, () if index is None else _index(index), None, "updates memory")
    flat = [v.expand(shape).reshape(-1) for v in vectors]
    keep = None if inside is None else inside.expand(shape).reshape(-1)
    operands = [torch.as_tensor(v, device=tensor.device).to(tensor.dtype).expand(shape).reshape(-1) for v in values]
    previous = torch.zeros(operands[0].shape, dtype=tensor.dtype, device=tensor.device)
    for lane in range(previous.numel()):
        if keep is not None and not keep[lane]:
            continue
        at = tuple(v[lane] for v in flat)
        previous[lane] = tensor[at]
        tensor[at] = _UPDATES[kind](previous[lane], *(o[lane] for o in operands))
    return previous.reshape(shape)


def _combiner(function: Callable[..., Any], count: int) -> Callable[[Sequence[Any], Sequence[Any]], tuple[Any, ...]]:
    """`function` over two tuples of `count` values, whichever way it takes them."""
    takes_all = count == 1 or takes(function, 2 * count)

    def combine(left: Sequence[Any], right: Sequence[Any]) -> tuple[Any, ...]:
        result = function(*left, *right) if takes_all else function(tuple(left), tuple(right))
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    return combine


def _slices(tensors: Sequence[torch.Tensor], dim: int, k: int) -> list[torch.Tensor]:
    return [t.select(dim, k) for t in tensors]


def _reduce(engine: OnDevice, function: Any, x: Any, dim: int | None, other: Any, keep_dims: bool) -> Any:
    tensors = list(x) if isinstance(x, (tuple, list)) else [x]
    fills = list(other) if isinstance(other, (tuple, list)) else [other] * len(tensors)
    combine = _combiner(function, len(tensors))
    dims = range(tensors[0].dim()) if dim is None else [dim % tensors[0].dim()]
    for d in sorted(dims, reverse=True):
        tensors = _reduced(combine, tensors, fills, d)
    if keep_dims:
        for d in dims:
            tensors = [t.unsqueeze(d) for t in tensors]
    return tuple(tensors) if isinstance(x, (tuple, list)) else tensors[0]


def _reduced(combine: Any, tensors: list[torch.Tensor], fills: Sequence[Any], dim: int) -> list[torch.Tensor]:
    length = tensors[0].shape[dim]
    if length == 0:
        rest = [s for k, s in enumerate(tensors[0].shape) if k != dim]
        return [torch.full(rest, f, dtype=t.dtype, device=t.device) for t, f in zip(tensors, fills, strict=True)]
    total = _slices(tensors, dim, 0)
    for k in range(1, length):
        total = list(combine(total, _slices(tensors, dim, k)))
    return [t.to(i.dtype) for t, i in zip(total, tensors, strict=True)]


def _scan(engine: OnDevice, function: Any, x: Any, dim: int, reverse: bool) -> Any:
    tensors = list(x) if isinstance(x, (tuple, list)) else [x]
    combine = _combiner(function, len(tensors))
    order = range(tensors[0].shape[dim])
    steps: list[tuple[torch.Tensor, ...]] = []
    for k in reversed(order) if reverse else order:
        here = _slices(tensors, dim, k)
        steps.append(combine(steps[-1], here) if steps else tuple(here))
    if reverse:
        steps.reverse()
    results = [torch.stack([s[n] for s in steps], dim).to(t.dtype) for n, t in enumerate(tensors)] if steps else tensors
    return tuple(results) if isinstance(x, (tuple, list)) else results[0]


def _cumulative(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def run(engine: OnDevice, x: torch.Tensor, dim: int, reverse: bool) -> torch.Tensor:
        return function(x.flip(dim), dim).flip(dim) if reverse else function(x, dim)

    return run


def positions(engine: OnDevice, shape: Sequence[Any]) -> torch.Tensor:
    """A different int for every logical position, the same for all tile sizes."""
    total: Any = torch.zeros([1] * len(shape), dtype=torch.int64, device=engine.device)
    stride = 1
    for k, size in reversed(list(enumerate(shape))):
        tile = size.tile if isinstance(size, TileSize) else size if isinstance(size, EagerTile) else None
        first, count = (tile.start, tile.limit) if tile is not None else (0, int(size))
        index = torch.arange(first, first + int(real_size(size)), device=engine.device) * stride
        total = total + index.reshape([-1] + [1] * (len(shape) - k - 1))
        stride *= count
    return total


def _rand(engine: OnDevice, shape: Sequence[Any], seed: Any) -> torch.Tensor:
    return philox.uniform(philox.philox(int(seed), positions(engine, shape))[0])


def _rand4x(engine: OnDevice, shape: Sequence[Any], seed: Any) -> tuple[torch.Tensor, ...]:
    return tuple(map(philox.uniform, philox.philox(int(seed), positions(engine, shape))))


def _randint(engine: OnDevice, shape: Sequence[Any], low: int, high: int, seed: Any) -> torch.Tensor:
    bits = philox.philox(int(seed), positions(engine, shape))[0]
    return (bits % (high - low) + low).to(torch.int32)


def _arange(engine: OnDevice, args: Sequence[Any], dtype: torch.dtype | None) -> torch.Tensor:
    return torch.arange(*(int(real_size(a)) for a in args), dtype=dtype or torch.int32, device=engine.device)


def _join(engine: OnDevice, a: Any, b: Any) -> torch.Tensor:
    return torch.stack(torch.broadcast_tensors(a, b), -1)


def _split(engine: OnDevice, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 0], x[..., 1]


def _print(engine: OnDevice, prefix: str, values: Sequence[Any]) -> None:
    print(prefix, *values)


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(engine: OnDevice, *args: Any) -> NoReturn:
        raise exc.UnsupportedOperation(
            op=f"hl.{name}", reason=" when the kernel runs as plain PyTorch", location=location.here(),
            instead="run the kernel compiled (interpret=False)",
        )  # fmt: skip

    return refuse


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "load": _load, "store": _store, "atomic": _atomic,
    "dot_scaled": lambda engine, *args: dot_scaled(*args), "reduce": _reduce, "associative_scan": _scan,
    "cumsum": _cumulative(torch.cumsum), "cumprod": _cumulative(torch.cumprod),
    "join": _join, "split": _split, "subscript": lambda engine, x, index: x[_index(index)], "arange": _arange,
    "rand": _rand, "randint": _randint, "rand4x": _rand4x, "device_print": _print,
    **{name: _refuse(name)
       for name in ("stacktensor_like", "inline_asm_elementwise", "inline_triton", "triton_kernel")},
    **{f"tile_{name}": lambda engine, tile, name=name: getattr(tile, name)
       for name in ("index", "begin", "end", "block_size", "id", "count")},
}  # fmt: skip
