"""Subscripts with tiles on real tensors: out-of-range lanes load 0 and are not stored."""

from __future__ import annotations

from typing import Any

import torch

from .. import exc, location
from ..frontend.engine import current
from .tiles import EagerTile


def _has_tiles(index: Any) -> bool:
    entries = index if isinstance(index, tuple) else (index,)
    return any(isinstance(e, (EagerTile, torch.Tensor)) for e in entries)


def load(tensor: torch.Tensor, index: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
    """`tensor[index]`; masked-off and out-of-range lanes are 0."""
    if mask is None and not _has_tiles(index):
        return tensor[index]
    found, inside, shape = vectors(tensor, index, mask, "reads")
    result = tensor[found] if found else tensor
    keep = _combined(inside, mask)
    if keep is not None:
        result = torch.where(keep, result, torch.zeros((), dtype=tensor.dtype, device=tensor.device))
    return result.expand(shape) if list(result.shape) != shape else result


def store(tensor: torch.Tensor, index: Any, value: Any, mask: torch.Tensor | None = None) -> None:
    """`tensor[index] = value` for the lanes that are inside and not masked off; casts to the dtype of the tensor."""
    if mask is None and not _has_tiles(index):
        tensor[index] = value
        return
    found, inside, shape = vectors(tensor, index, mask, "writes")
    value = torch.as_tensor(value, device=tensor.device).to(tensor.dtype)
    keep = _combined(inside, mask)
    if keep is None:
        tensor[found] = value.expand(shape)
        return
    keep = keep.expand(shape)
    tensor[tuple(v.expand(shape)[keep] for v in found)] = value.expand(shape)[keep]


def _combined(inside: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor | None:
    if inside is None or mask is None:
        return mask if inside is None else inside
    return inside & mask


def vectors(
    tensor: torch.Tensor, index: Any, mask: torch.Tensor | None, does: str
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor | None, list[int]]:
    """One index tensor per dimension, all broadcasting to a shape, which lanes lie inside the tensor, and that shape.

    Raises `OutsideOfTensors` where a computed index leaves its dimension in a lane that `mask` does not leave out.
    """
    entries = _entries(tensor, index)
    placed: list[tuple[torch.Tensor, int]] = []  # index values and the dim of the result where theirs begin
    sizes: list[int] = []
    joint: int | None = None
    dimension = 0
    for entry in entries:
        if entry is None:
            sizes.append(1)
            continue
        values = _values(entry, tensor.shape[dimension], tensor.device)
        if isinstance(entry, torch.Tensor) and not isinstance(entry, EagerTile) and values.dim():
            joint = _place(values, sizes, placed, joint)
        else:
            placed.append((values, len(sizes)))
            sizes.extend(values.shape)
        dimension += 1
    rank = len(sizes)
    spreads, inside, strays = [], None, []
    computed = [isinstance(e, torch.Tensor) and not isinstance(e, EagerTile) for e in entries if e is not None]
    for k, (values, at) in enumerate(placed):
        spread = values.reshape([1] * at + list(values.shape) + [1] * (rank - at - values.dim()))
        limit = tensor.shape[k]
        if spread.numel() and (int(spread.min()) < 0 or int(spread.max()) >= limit):
            ok = (spread >= 0) & (spread < limit)
            if computed[k]:
                strays.append(~ok)
            else:
                inside = ok if inside is None else inside & ok
            spread = spread.clamp(0, max(0, limit - 1))
        spreads.append(spread)
    kept = _combined(inside, mask)
    for stray in strays:
        if bool((stray if kept is None else stray & kept).any()):
            raise exc.OutsideOfTensors(kernel="this", does=does, where="a tensor", location=location.here())
        inside = ~stray if inside is None else inside & ~stray
    return tuple(spreads), inside, sizes


def _place(
    values: torch.Tensor, sizes: list[int], placed: list[tuple[torch.Tensor, int]], joint: int | None
) -> int | None:
    """Index tensors broadcast where their shapes line up for every block size, else form a product: as traced."""
    engine: Any = current()
    if joint is not None and not engine.forms_product():
        old = sizes[joint : joint + values.dim()]
        sizes[joint : joint + values.dim()] = [max(a, b) for a, b in zip(old, values.shape, strict=True)]
        placed.append((values, joint))
        return joint
    placed.append((values, len(sizes)))
    sizes.extend(values.shape)
    return len(sizes) - values.dim() if joint is None else joint


def _entries(tensor: torch.Tensor, index: Any) -> list[Any]:
    entries = list(index) if isinstance(index, (tuple, list)) else [index]
    given = sum(e is not None and e is not Ellipsis for e in entries)
    missing = [slice(None)] * (tensor.dim() - given)
    at = next((k for k, e in enumerate(entries) if e is Ellipsis), None)
    return entries + missing if at is None else entries[:at] + missing + entries[at + 1 :]


def _values(entry: Any, size: int, device: torch.device) -> torch.Tensor:
    if isinstance(entry, EagerTile):
        return torch.arange(entry.begin, entry.begin + entry.length, device=device)
    if isinstance(entry, torch.Tensor):
        return entry.to(torch.int64)
    if isinstance(entry, slice):
        return torch.arange(*entry.indices(size), device=device)
    at = int(entry)
    return torch.tensor(at + size if at < 0 else at, device=device)
