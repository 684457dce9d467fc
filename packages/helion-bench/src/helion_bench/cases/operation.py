"""`Operation`: what is benchmarked — inputs, the true result in float64, what it costs at least, where to run it.

In: sizes, a dtype, a seed. Out: inputs by name, expected outputs and gradients, floating-point operations, bytes.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from ..results.model import Pass
from .reference import in_parts
from .results import Gradient, Inputs, Results, Sizes
from .verdict import Verdict, compare


@dataclass(frozen=True)
class Shape:
    """Sizes of one case by name, in the order in which they are shown.

    `quick`: one of the few that `--quick` runs. `cpu`: small enough for Triton's interpreter, and for nothing else.
    `label`: by default the sizes, `8192x4096`.
    """

    sizes: Mapping[str, int]
    quick: bool = False
    cpu: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", "x".join(map(str, self.sizes.values())))


class Operation(abc.ABC):
    """One operation. Subclasses are found by entry points of the group `helion_bench.cases`.

    `ours` is the public function of helion-kernels, `module:function`; `call_ours` gives it the inputs.
    `gradients` names the inputs that get a gradient, `rows` those whose first dimension the operation can be computed
    in parts of; its output is then put together again (`parts="cat"`), or is a mean over rows (`"mean"`).
    """

    name: ClassVar[str]
    ours: ClassVar[str]
    shapes: ClassVar[tuple[Shape, ...]]
    dtypes: ClassVar[tuple[str, ...]] = ("bfloat16", "float16", "float32")
    passes: ClassVar[tuple[Pass, ...]] = ("fwd", "bwd")
    gradients: ClassVar[tuple[str, ...]] = ("x",)
    rows: ClassVar[tuple[str, ...]] = ("x",)
    parts: ClassVar[Literal["cat", "mean"]] = "cat"
    reads_on_host: ClassVar[bool] = False
    """Whether `eager` needs values of tensors on the host; then neither torch.compile nor a CUDA graph can hold it."""

    @abc.abstractmethod
    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        """Inputs by name: tensors, and numbers or flags that go with them."""

    @abc.abstractmethod
    def eager(self, **inputs: Any) -> Any:
        """The operation as a user of torch writes it; differentiable where `passes` has `bwd`, right in float64."""

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        """Call the function of helion-kernels. By default its parameters are named as the inputs are."""
        return function(**inputs)

    @abc.abstractmethod
    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        """Floating-point operations that any implementation needs."""

    @abc.abstractmethod
    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        """Bytes that any implementation must move: each input read once, each output written once."""

    def largest(self, sizes: Sizes, inputs: Inputs) -> int:
        """Elements of the largest tensor that `eager` makes on its way."""
        return max(t.numel() for t in inputs.values() if hasattr(t, "numel"))

    def reference(self, sizes: Sizes, inputs: Inputs, gradient: Gradient) -> Results:
        """The truth in float64; with the `gradient` of the outputs, the gradients of the inputs too.

        Large cases are computed part by part, so that float64 never needs much more memory than the case itself.
        """
        return in_parts(self, sizes, inputs, gradient)

    def verify(self, inputs: Inputs, gradient: Gradient, results: Results, expected: Results) -> Verdict:
        """Whether `results` are right to the accuracy of their dtype; `gradient` is that of the outputs."""
        return compare(results, expected)


class Random:
    """Tensors from one seed, the same on every run; drawn on `device`."""

    def __init__(self, seed: int, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self._generator = torch.Generator(device=self.device).manual_seed(seed)

    def normal(self, *size: int, dtype: torch.dtype, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        """Normally distributed, drawn in `dtype` where torch can, else in float32."""
        drawn = torch.bfloat16 if dtype.itemsize == 1 else dtype
        tensor = torch.empty(size, dtype=drawn, device=self.device)
        return tensor.normal_(mean, scale, generator=self._generator).to(dtype)

    def integers(self, low: int, high: int, *size: int) -> torch.Tensor:
        """int64 in [low, high)."""
        return torch.randint(low, high, size, generator=self._generator, device=self.device)
