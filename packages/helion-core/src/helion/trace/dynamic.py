"""Arguments of kernels that serve many sizes: sizes and strides as symbols, and what a trace takes for granted.

How a tensor lies in memory is a fact that calls are checked for: contiguous, or along which dimensions neighbours lie
side by side. Strides of contiguous tensors follow from the sizes, those of others are numbers of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from ..ir import HostScalar
from .fakes import Named
from .host_tensors import borrowed

if TYPE_CHECKING:
    from .tracer import Tracer

# Stand for sizes 0 and 1 in a trace that is to serve all sizes. No size of a real tensor is likely to be one of these.
_GENERIC = {0: 104729, 1: 104743}


@dataclass(frozen=True)
class Arrangement:
    """What a trace takes for granted of one tensor argument: contiguous, or a stride of 1 along some dimensions."""

    source: str
    contiguous: bool
    adjacent: tuple[int, ...] = ()

    @property
    def fact(self) -> str:
        """What calls are checked for, as a Python expression."""
        if self.contiguous:
            return f"{self.source}.is_contiguous()"
        tests = [f"({self.source}.stride({d}) == 1 or {self.source}.size({d}) <= 1)" for d in self.adjacent]
        return " and ".join(tests) or "True"

    @staticmethod
    def of(source: str, tensor: torch.Tensor) -> Arrangement:
        if tensor.is_contiguous():
            return Arrangement(source, True)
        sizes, strides = tensor.shape, tensor.stride()
        return Arrangement(source, False, tuple(d for d in range(tensor.dim()) if strides[d] == 1 and sizes[d] > 1))


@dataclass(frozen=True)
class Sizes:
    """Which sizes are numbers in a trace: those that are 0 or 1, unless `generic`, and those `fixed`, by expression.

    The trace adds those that are taken in `whole` somewhere.
    """

    generic: bool = False
    fixed: frozenset[str] = frozenset()
    whole: set[str] = field(default_factory=set)


def dynamic_like(tracer: Tracer, tensor: torch.Tensor, source: str, which: Sizes) -> FakeTensor:
    """A fake tensor for the argument `source` with symbols for sizes."""
    arrangement = Arrangement.of(source, tensor)
    tracer.facts.append(arrangement.fact)
    sizes: list[Any] = [_size(tracer, source, d, size, which) for d, size in enumerate(tensor.shape)]
    strides: list[Any] = []
    if arrangement.contiguous:
        step: Any = 1
        for size in reversed(sizes):
            strides.insert(0, step)
            step = step * size
    else:
        for d, stride in enumerate(tensor.stride()):
            strides.append(1 if d in arrangement.adjacent else _symbol(tracer, f"{source}.stride({d})", stride, stride))
    with _disable_current_modes(), tracer.fake_mode, tracer.env.taking_sizes_for_large():
        return borrowed(tracer, torch.empty_strided(sizes, strides, dtype=tensor.dtype, device=tensor.device))


def _size(tracer: Tracer, source: str, dim: int, size: int, which: Sizes) -> Any:
    where = f"{source}.size({dim})"
    hint = _GENERIC.get(size, size) if which.generic else size
    symbol = _symbol(tracer, where, size, hint)
    return int(symbol) if hint <= 1 or where in which.fixed else symbol


def _symbol(tracer: Tracer, source: str, actual: int, hint: int) -> Any:
    env = tracer.env
    symbol = env.size_symbol(hint, Named(source), is_size=".size(" in source)
    scalar = HostScalar(_identifier(source), source, symbol, is_float=False, is_size=True)
    tracer.host_scalars[symbol] = scalar
    tracer.symbols[symbol] = scalar
    tracer.actual[symbol] = actual
    return env.create_symintnode(symbol, hint=hint)


def _identifier(source: str) -> str:
    """`weights[0].size(1)` as a name: `weights_0_size_1`."""
    return "_".join("".join(c if c.isalnum() or c == "_" else " " for c in source).split())


# --- host code

# Functions whose results have the same sizes and elements whether or not a size is 0 or 1, though strides may differ.
_INDIFFERENT = frozenset({
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "zeros", "zeros_like", "new_zeros",
    "ones", "ones_like", "new_ones", "full", "full_like", "new_full", "rand", "rand_like", "randn", "randn_like",
    "randint", "view", "view_as", "reshape", "reshape_as", "flatten", "ravel", "unflatten", "transpose", "t", "permute",
    "movedim", "swapaxes", "unsqueeze", "expand", "expand_as", "broadcast_to", "broadcast_tensors", "contiguous",
    "clone", "detach", "to", "type", "float", "half", "bfloat16", "double", "int", "long", "bool", "add", "sub", "mul",
    "div", "sum", "mean", "amax", "amin", "zero_", "fill_", "copy_", "arange", "select", "type_as", "requires_grad_",
    "is_floating_point",
})  # fmt: skip
_TENSOR: Any = torch.Tensor
_ATTRIBUTES = frozenset({_TENSOR.T.__get__, _TENSOR.mT.__get__, _TENSOR.data.__get__})


class HostMode(TorchFunctionMode):
    """Host code of dynamic kernels: where torch's own code asks whether a size is 0 or 1 and it makes no difference,
    the answer is no, for all calls.
    """

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "").removeprefix("__").removesuffix("__")
        if self._tracer.in_device or not (name in _INDIFFERENT or func in _ATTRIBUTES):
            return func(*args, **(kwargs or {}))
        with self._tracer.env.taking_sizes_for_large():
            return func(*args, **(kwargs or {}))


# --- checks of later calls


def tensors_of(value: Any, source: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors in an argument, inside lists, tuples and dicts too, each with its Python expression."""
    if isinstance(value, torch.Tensor):
        yield source, value
    elif isinstance(value, (list, tuple)):
        for k, item in enumerate(value):
            yield from tensors_of(item, f"{source}[{k}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_of(item, f"{source}[{key!r}]")


def checker(
    parameters: Sequence[str], facts: Sequence[str], guards: Sequence[sympy.Basic], sources: Mapping[sympy.Symbol, str]
) -> Callable[..., bool]:
    """A function of the arguments: whether the facts, which are Python expressions, and the guards are true."""
    from ..emit.expressions import Printer

    used: dict[sympy.Symbol, str] = {}

    def name(symbol: sympy.Symbol) -> str:
        return used.setdefault(symbol, f"__helion_{len(used)}")

    printer = Printer(name, device=False)
    tests = [printer(guard) for guard in guards]  # type: ignore[arg-type]
    lines = [f"def holds({', '.join(parameters)}):"]
    lines += [f"    if not ({fact}): return False" for fact in facts]
    lines += [f"    {short} = {sources[symbol]}" for symbol, short in used.items()]
    lines += [f"    return {' and '.join(tests) or 'True'}"]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    return space["holds"]  # type: ignore[no-any-return]
