"""Whether the outputs of a candidate are those of the reference run, without float64 and safe for NaN."""

from __future__ import annotations

import torch

# Allowed difference of an element, as a part of its own size plus the root mean square of the whole reference: configs
# differ in the order of sums, hence in rounding, and in nothing else.
TOLERANCES = {
    torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 4e-2,
    torch.float8_e4m3fn: 0.2, torch.float8_e5m2: 0.4,
}  # fmt: skip
INTEGERS_THAT_MAY_DIFFER = 1e-3  # part of all: rounding before a quantisation, ties of an argmax
_CHUNK = 1 << 24  # elements compared at once


def mismatch(output: torch.Tensor, reference: torch.Tensor) -> str | None:
    """What is wrong with `output`, or None. Elements that a kernel does not write hold the same poison in both."""
    if output.is_complex():
        output, reference = torch.view_as_real(output), torch.view_as_real(reference)
    if output.numel() == 0:
        return None
    if output.dtype not in TOLERANCES:
        return _integer_mismatch(output, reference)
    return _float_mismatch(output, reference)


def _integer_mismatch(output: torch.Tensor, reference: torch.Tensor) -> str | None:
    if output.dtype is torch.bool:  # poison is no bool
        output, reference = output.view(torch.uint8), reference.view(torch.uint8)
    wrong = sum(int((a != b).sum()) for a, b in _chunks(output, reference))
    if wrong <= INTEGERS_THAT_MAY_DIFFER * output.numel():
        return None
    return f"{wrong} of {output.numel()} elements differ from the reference"


def _float_mismatch(output: torch.Tensor, reference: torch.Tensor) -> str | None:
    tolerance = TOLERANCES[output.dtype]
    wide = torch.float64 if output.dtype is torch.float64 else torch.float32
    scale = _scale(reference, wide)
    wrong = torch.zeros((), dtype=torch.int64, device=output.device)
    worst = torch.zeros((), dtype=wide, device=output.device)
    for a, b in _chunks(output, reference):
        a, b = a.to(wide), b.to(wide)
        difference = (a - b).abs()
        right = (difference <= tolerance * (b.abs() + scale)) | (a == b) | (a.isnan() & b.isnan())
        wrong += (~right).sum()
        worst = torch.maximum(worst, torch.where(right, 0.0, difference.nan_to_num(nan=float("inf"))).max())
    if not int(wrong):
        return None
    return f"{int(wrong)} of {output.numel()} elements differ from the reference, by up to {float(worst):.3g}"


def _scale(reference: torch.Tensor, wide: torch.dtype) -> torch.Tensor:
    """Root mean square of what is finite; huge elements are left to the relative part."""
    total, count = (torch.zeros((), dtype=wide, device=reference.device) for _ in range(2))
    for (part,) in _chunks(reference):
        values = part.to(wide)
        sane = values.isfinite() & (values.abs() < 1e15)
        total += torch.where(sane, values, 0.0).square().sum()
        count += sane.sum()
    return (total / count.clamp(min=1)).sqrt()


def _chunks(*tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """Parts of tensors of one shape that are small enough for a few copies in float32."""
    first = tensors[0]
    if first.numel() <= _CHUNK or first.dim() == 0:
        return [tensors]
    if all(t.is_contiguous() for t in tensors):
        return list(zip(*(t.view(-1).split(_CHUNK) for t in tensors), strict=True))
    rows = max(1, _CHUNK * first.size(0) // first.numel())
    return list(zip(*(t.split(rows) for t in tensors), strict=True))
