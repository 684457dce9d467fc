"""A product for each group of rows: the experts of a mixture."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Operation, Pass, Random, Shape
from .reference import wide
from .results import Gradient, Inputs, Results, Sizes


def _experts(groups: int, rows: int, k: int, n: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    return Shape({"groups": groups, "rows": rows, "k": k, "n": n}, quick=quick, cpu=cpu)


class GroupedMM(Operation):
    """out[rows of g] = x[rows of g] @ weight[g]; groups are of unequal length, `offsets` holds where each ends."""

    name = "grouped_mm"
    ours = "helion_kernels:grouped_mm"
    reads_on_host = True
    shapes = (
        _experts(8, 8192, 4096, 14336, quick=True),
        _experts(8, 8192, 14336, 4096),
        _experts(64, 16384, 2048, 1408, quick=True),
        _experts(128, 8192, 2048, 768),
        _experts(16, 4096, 5120, 8192),
        _experts(3, 40, 32, 48, cpu=True),
        _experts(2, 16, 16, 32, cpu=True),
    )
    dtypes = ("bfloat16",)
    passes: ClassVar[tuple[Pass, ...]] = ("fwd",)
    gradients = ()

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        groups, rows, k, n = (sizes[s] for s in ("groups", "rows", "k", "n"))
        cuts = random.integers(0, rows // 8 + 1, groups - 1).mul(8).sort().values  # torch wants multiples of 16 bytes
        ends = torch.cat([cuts, torch.tensor([rows], device=random.device)])
        return {
            "x": random.normal(rows, k, dtype=dtype),
            "weight": random.normal(groups, k, n, dtype=dtype, scale=k**-0.5),
            "offsets": ends.to(torch.int32),
        }

    def eager(self, **inputs: Any) -> Any:
        """A loop over the groups, which must know the offsets on the host."""
        x, weight = inputs["x"], inputs["weight"]
        ends = inputs["offsets"].tolist()
        begins = [0, *ends[:-1]]
        return torch.cat([x[b:e] @ w for b, e, w in zip(begins, ends, weight.unbind(), strict=True)])

    def reference(self, sizes: Sizes, inputs: Inputs, gradient: Gradient) -> Results:
        ends = inputs["offsets"].tolist()
        begins = [0, *ends[:-1]]
        x, weight = inputs["x"], inputs["weight"]
        parts = [wide(x[b:e]) @ wide(weight[g]) for g, (b, e) in enumerate(zip(begins, ends, strict=True))]
        return Results((torch.cat(parts),))

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["weight"], offs=inputs["offsets"])

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        return 2.0 * sizes["rows"] * sizes["k"] * sizes["n"]

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        groups, rows, k, n = (sizes[s] for s in ("groups", "rows", "k", "n"))
        return (rows * k + groups * k * n + rows * n) * itemsize
