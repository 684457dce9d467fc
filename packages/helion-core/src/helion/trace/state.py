"""What is known while a kernel is traced: its symbols, tensors, ranges and phases, and the author's names for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor

from .. import exc, ir, location
from ..ir import Block, BlockSize, HostScalar, HostTensor, Phase, Range, Size, Value
from ..settings import Settings
from . import shapes
from .fakes import fake_mode
from .names import HostNames
from .places import Places
from .storage import Memory
from .symbols import KernelShapeEnv, is_symbolic
from .values import Tile, TileTensor

_SYMBOL = re.compile(r"\b(?:s|u|zf|zuf)\d+\b")  # how torch calls its symbols


class TraceState:
    """One trace of one kernel, `defined` at a place. `in_device` says whether a tile loop is being traced."""

    def __init__(
        self, name: str, settings: Settings, defined: location.Location | None = None,
        tunables: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.chosen, self.tunables = dict(tunables or {}), {}  # values of tunables, and their fragments
        self.name, self.settings, self.defined = name, settings, defined
        self.env = KernelShapeEnv()
        self.fake_mode = fake_mode(shape_env=self.env, allow_non_fake_inputs=True)
        self.blocks: list[BlockSize] = []
        self.symbols: dict[sympy.Symbol, Any] = {}
        self.actual: dict[sympy.Symbol, Any] = {}  # what host symbols are in this call
        self.whole: set[str] = set()  # sizes of dimensions that are taken in whole, as expressions of the host
        self.facts: list[str] = []  # what else calls are checked for, as expressions of the parameters
        self.phases: list[Phase] = []
        self.tensors: dict[int, HostTensor] = {}
        self.memory: dict[HostTensor, Memory] = {}
        self.devices: dict[torch.device, str] = {}  # of the tensors used on the device, with the name of one on each
        self.host_scalars: dict[sympy.Symbol, HostScalar] = {}
        self.replacements: dict[tuple[int, str], list[int | ir.Baked | None]] = {}
        self.real_tensors: dict[int, tuple[torch.Tensor, FakeTensor]] = {}
        self.borrowed: set[int] = set()  # memory that was there before the call
        self.derived: dict[int, tuple[torch.Tensor, Callable[[Callable[[Any], str]], str]]] = {}
        self.block: Block | None = None
        self.indices: set[Value] = set()  # indices of tiles, and int32 values computed from them
        self.names: HostNames | None = None
        self.loads = self.stores = self.loops = 0
        self.random_uses = 0
        self.updates: list[tuple[TileTensor, location.Location | None]] = []  # of loaded tiles that no variable holds
        self.places = Places()
        self.inlined: list[Any] = []  # user functions that device code called
        self.jagged: dict[Range, TileTensor] = {}  # ranges over rows of different length, and those lengths
        self.stage = 0  # how many barriers came before
        self._full_ranges: dict[Size, Range] = {}
        self.min_lanes: dict[int, int] = {}
        self.unpadded: set[int] = set()

    @property
    def in_device(self) -> bool:
        return self.block is not None

    # --- device values

    def is_device_value(self, value: Any) -> bool:
        if isinstance(value, (TileTensor, Tile)):
            return True
        return is_symbolic(value) and self.env.is_device(value.node.expr)

    def wrap(self, value: Value) -> TileTensor:
        result = TileTensor.wrap(value, self.env)
        result.home = self.block
        return result

    def value(self, tensor: Any) -> Value:
        """The value behind a device tensor."""
        if not isinstance(tensor, TileTensor):
            raise exc.InvalidArgument(
                what=self.describe(tensor), instead="give a device value, such as a tile of a tensor"
            )
        if tensor.poisoned:
            raise exc.MutatedAlias(location=location.here())
        return tensor.value  # type: ignore[no-any-return]

    def poison(self, tensor: Any) -> None:
        """After an in-place update under another name, `tensor` does not hold what eager would; its use is an error."""
        tensor.poisoned = True

    # --- in words of the kernel's author

    def show_size(self, size: Size) -> str:
        return self.named(str(size)) if isinstance(size, sympy.Expr) else str(size)

    def show(self, sizes: Sequence[Size]) -> str:
        return shapes.show(sizes, self.show_size)

    def named(self, text: str) -> str:
        """`text` with the user's names in place of the symbols that tracing uses for sizes and offsets."""
        known: dict[str, Any] = {str(symbol): found for symbol, found in self.symbols.items()}
        known |= {str(symbol): self.actual[symbol] for symbol in self.env.size_symbols}
        return _SYMBOL.sub(lambda match: _name_of(known.get(match[0]), match[0]), text)

    def describe(self, value: Any) -> str:
        """A value's type for messages: dtype and shape."""
        if isinstance(value, Tile):
            return f"the tile `{value.range.name}`"
        if isinstance(value, TileTensor):
            return f"{str(value.value.dtype).removeprefix('torch.')}{self.show(value.value.shape)}"
        if isinstance(value, torch.Tensor):
            return "a host tensor"
        if value is None or isinstance(value, (int, float, complex, str)):
            return f"the Python {type(value).__name__} {value!r}" if value is not None else "None"
        return f"a {type(value).__name__}"

    def spelled(self, size: Size) -> str:
        """`size` in words of the code: `x_size_1`."""
        names = {str(symbol): scalar.name for symbol, scalar in self.host_scalars.items()}
        return self.named(_SYMBOL.sub(lambda match: names.get(match[0], match[0]), str(size)))


def _name_of(found: Any, symbol: str) -> str:
    """What the user calls the thing that a symbol stands for."""
    if isinstance(found, BlockSize):
        return found.name
    if isinstance(found, int):
        return str(found)
    if isinstance(found, HostScalar):
        return found.source
    if isinstance(found, Range):
        return found.name if found.scalar else f"{found.name}.begin"
    if isinstance(found, Value):
        return found.hint or "(a device value)"
    return symbol
