"""The arguments of a launch as a file: described in one process, rebuilt in another.

Tensors are described by the storage that they lie in, so that what overlaps here overlaps there. Storages travel by
value once, except those that the kernel writes without reading, those of zeros, and floating-point ones past a size
limit, which are drawn anew with the same mean and deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ..lower.effects import Effects

LARGEST_SHIPMENT = 2 << 30  # bytes of all storages together; past it, floating-point contents are drawn at random
ALIGNMENT = 256  # bytes; what allocators give, so that a part of a storage starts as aligned as it did
_POISON = 0xFF  # NaN in every floating-point type


@dataclass
class _Region:
    """The part of a storage that the launch can reach, in bytes from its start."""

    storage: torch.UntypedStorage
    begin: int
    end: int
    dtypes: set[torch.dtype] = field(default_factory=set)
    read: bool = False
    written: bool = False
    compared: bool = False


def extent(tensor: torch.Tensor) -> tuple[int, int]:
    """First byte and the one behind the last that `tensor` covers in its storage."""
    begin = int(tensor.storage_offset()) * tensor.element_size()
    if tensor.numel() == 0:
        return begin, begin
    last = sum((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride(), strict=True))
    return begin, begin + (int(last) + 1) * tensor.element_size()


def bytes_of(storage: torch.UntypedStorage, begin: int, end: int) -> torch.Tensor:
    """Part of a storage as a uint8 tensor that shares its memory."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage, begin, (end - begin,), (1,))


def copied(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Copies that overlap as the originals do, with the same sizes, strides and offsets."""
    storages: dict[int, torch.UntypedStorage] = {}
    result = []
    for tensor in tensors:
        plain = tensor.detach()
        storage = plain.untyped_storage()
        copy = storages.get(storage._cdata)
        if copy is None:
            copy = storages[storage._cdata] = storage.clone()
        empty = torch.empty(0, dtype=plain.dtype, device=plain.device)
        result.append(empty.set_(copy, plain.storage_offset(), plain.size(), plain.stride()))
    return result


def describe(
    values: Sequence[Any], effects: Effects, limit: int = LARGEST_SHIPMENT
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """`values` of a launch as plain JSON, and the contents that go with it by storage number.

    A tensor becomes `{"storage", "dtype", "sizes", "strides", "start"}`, `start` in bytes from the start of its region.
    """
    regions = _regions(values, effects)
    numbers = {key: k for k, key in enumerate(regions)}
    total = sum(r.end - r.begin for r in regions.values() if r.read)
    storages, contents = [], {}
    for region, number in zip(regions.values(), numbers.values(), strict=True):
        described, content = _described(region, total > limit, number)
        storages.append(described)
        if content is not None:
            contents[str(number)] = content
    shown = [_value(v, regions, numbers) if isinstance(v, torch.Tensor) else {"number": v} for v in values]
    outputs = sorted(effects.writes - effects.scratch)
    return {"storages": storages, "values": shown, "outputs": outputs}, contents


def _regions(values: Sequence[Any], effects: Effects) -> dict[int, _Region]:
    regions: dict[int, _Region] = {}
    for position, value in enumerate(values):
        if not isinstance(value, torch.Tensor):
            continue
        storage = value.untyped_storage()
        begin, end = extent(value)
        begin -= min(begin, (storage.data_ptr() + begin) % ALIGNMENT)
        region = regions.setdefault(storage._cdata, _Region(storage, begin, end))
        region.begin, region.end = min(region.begin, begin), max(region.end, end)
        region.dtypes.add(value.dtype)
        region.read |= position in effects.reads
        region.written |= position in effects.writes
        region.compared |= position in effects.writes - effects.scratch
    return regions


def _described(region: _Region, crowded: bool, seed: int) -> tuple[dict[str, Any], torch.Tensor | None]:
    """One storage, and its content where it has to travel."""
    size = region.end - region.begin
    shown: dict[str, Any] = {
        "bytes": size,
        "skew": (region.storage.data_ptr() + region.begin) % ALIGNMENT if size else 0,
        "read": region.read,
        "written": region.written,
        "content": "poison",
    }
    if not region.read or size == 0:
        return shown, None
    content = bytes_of(region.storage, region.begin, region.end)
    if not bool(content.any()):
        return {**shown, "content": "zeros"}, None
    dtype = next(iter(region.dtypes))
    if crowded and len(region.dtypes) == 1 and dtype in (torch.float32, torch.float16, torch.bfloat16):
        whole = content[: size - size % dtype.itemsize].view(dtype)
        deviation, mean = (float(x) for x in torch.std_mean(whole.float()))
        if math.isfinite(deviation):  # infinities and NaN are there for a reason
            drawn = {"dtype": _name(dtype), "mean": mean, "deviation": deviation, "seed": seed}
            return {**shown, "content": "random", **drawn}, None
    return {**shown, "content": "shipped"}, content.cpu()


def _value(tensor: torch.Tensor, regions: dict[int, _Region], numbers: dict[int, int]) -> dict[str, Any]:
    key = tensor.untyped_storage()._cdata
    return {
        "storage": numbers[key],
        "dtype": _name(tensor.dtype),
        "sizes": list(tensor.size()),
        "strides": list(tensor.stride()),
        "start": tensor.storage_offset() * tensor.element_size() - regions[key].begin,
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def save(path: Path, description: dict[str, Any], contents: dict[str, torch.Tensor]) -> None:
    """Writes a file that `Arguments.load` reads."""
    torch.save({"description": description, "contents": contents}, path)


class Arguments:
    """Rebuilt arguments on a device. `values`: tensors and numbers, in the order of the launch."""

    def __init__(self, description: dict[str, Any], contents: dict[str, torch.Tensor], device: torch.device) -> None:
        self._storages = description["storages"]
        self._device = device
        self._memory = [_allocated(s, device) for s in self._storages]
        for number, (shown, memory) in enumerate(zip(self._storages, self._memory, strict=True)):
            _fill(memory, shown, contents.get(str(number)))
        self.values = [self._built(v, self._memory) for v in description["values"]]
        self._described = description["values"]
        self._outputs: list[int] = description["outputs"]
        changing = [k for k, s in enumerate(self._storages) if s["written"] and s["content"] != "poison"]
        self._pristine = {k: self._memory[k].clone() for k in changing}
        self._sums = self.checksums()

    @classmethod
    def load(cls, path: str, device: torch.device) -> Arguments:
        """Reads what `save` wrote; nothing in the file is executed."""
        data = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return cls(data["description"], data["contents"], device)

    def _built(self, shown: dict[str, Any], memory: Sequence[torch.Tensor]) -> Any:
        if "number" in shown:
            return shown["number"]
        dtype = getattr(torch, shown["dtype"])
        region = memory[shown["storage"]]
        start = region.storage_offset() + shown["start"]
        empty = torch.empty(0, dtype=dtype, device=self._device)
        return empty.set_(region.untyped_storage(), start // dtype.itemsize, shown["sizes"], shown["strides"])

    def restore(self) -> None:
        """Undoes what a launch wrote: contents that it may read come back, the rest is poisoned."""
        for number, shown in enumerate(self._storages):
            if number in self._pristine:
                self._memory[number].copy_(self._pristine[number])
            elif shown["written"]:
                self._memory[number].fill_(_POISON)

    def outputs(self) -> dict[int, torch.Tensor]:
        """The tensors that the kernel writes, by position, as they are now."""
        return {k: self.values[k] for k in self._outputs}

    def snapshot(self) -> dict[int, torch.Tensor]:
        """Copies of the outputs, in storages of their own."""
        wanted = {self._described[k]["storage"] for k in self._outputs}
        memory = [m.clone() if k in wanted else m for k, m in enumerate(self._memory)]
        return {k: self._built(self._described[k], memory) for k in self._outputs}

    def checksums(self) -> torch.Tensor:
        """One number per storage that the kernel must leave alone."""
        kept = [m for m, s in zip(self._memory, self._storages, strict=True) if not s["written"] and s["read"]]
        sums = [_words(m).sum() for m in kept if m.numel() >= 8]
        return torch.stack(sums) if sums else torch.zeros(1, dtype=torch.int64, device=self._device)

    def intact(self) -> bool:
        """Whether nothing was written that the kernel has no business to write."""
        return bool(torch.equal(self.checksums(), self._sums))

    @property
    def footprint(self) -> int:
        """Bytes of all storages together."""
        return sum(s["bytes"] for s in self._storages)


def _words(memory: torch.Tensor) -> torch.Tensor:
    skip = -memory.storage_offset() % 8
    whole = memory[skip : skip + (memory.numel() - skip) // 8 * 8]
    return whole.view(torch.int64)


def _allocated(shown: dict[str, Any], device: torch.device) -> torch.Tensor:
    """Memory whose address has the remainder that the original's had."""
    raw = torch.empty(shown["bytes"] + 2 * ALIGNMENT, dtype=torch.uint8, device=device)
    begin = (shown["skew"] - raw.data_ptr()) % ALIGNMENT
    return raw[begin : begin + shown["bytes"]]


def _fill(memory: torch.Tensor, shown: dict[str, Any], content: torch.Tensor | None) -> None:
    kind = shown["content"]
    if kind == "shipped":
        assert content is not None
        memory.copy_(content)
    elif kind == "zeros":
        memory.zero_()
    elif kind == "random":
        dtype = getattr(torch, shown["dtype"])
        whole = memory[: memory.numel() - memory.numel() % dtype.itemsize].view(dtype)
        generator = torch.Generator(device=memory.device).manual_seed(shown["seed"])
        whole.normal_(shown["mean"], shown["deviation"], generator=generator)
    else:
        memory.fill_(_POISON)
