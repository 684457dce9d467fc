"""The engine that runs tile loops one tile after the other, on real tensors."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from types import FunctionType
from typing import Any

import torch

from .. import location
from ..frontend.engine import Body, DeviceLoop
from ..language.loops import TileLoop
from ..trace.callees import inline, is_inlined
from ..trace.places import Places
from .library import FUNCTIONS
from .mode import EagerMode
from .products import dot
from .tiles import EagerTile, RegisteredBlock, TileSize, real_size


class StepLoop(TileLoop):
    """`hl.grid`: scalar indices with a step."""

    steps: list[int]


class EagerEngine:
    """Runs device loops as Python loops. `places` tells which of the config's `block_sizes` each place in the program
    uses.
    """

    def __init__(
        self, block_sizes: Sequence[int], places: Places, device: torch.device,
        config: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._config = config or {}
        self.in_device = False
        self.device = device
        self._block_sizes = list(block_sizes)
        self._places = places
        self._asked: Counter[Any] = Counter()

    # --- Engine: ordinary Python decides everything

    def is_device_value(self, value: Any) -> bool:
        return False

    def name_value(self, name: str, value: Any) -> None:
        pass

    def as_condition(self, value: Any, statement: str) -> Any:
        return value

    def negate(self, condition: Any) -> Any:
        return not condition

    def as_operand(self, value: Any, word: str) -> Any:
        raise AssertionError("plain Python runs `and` and `or`")

    def either(self, first: Any, second: Any, word: str) -> Any:
        raise AssertionError("plain Python runs `and` and `or`")

    def while_loop(self, test: Callable[..., Any], body: Body, names: Sequence[str], values: Sequence[Any]) -> Any:
        raise AssertionError("plain Python runs `while`")

    def branch(
        self, test: Any, then: Body, other: Body, names: Sequence[str], values: Sequence[Any], statement: str
    ) -> Sequence[Any]:
        raise AssertionError("plain Python runs `if`")

    def device_assert(self, condition: Any, message: str) -> None:
        assert bool(condition.all()), message

    @contextmanager
    def host_statement(self, statement: str) -> Iterator[None]:
        yield

    def callee(self, function: Any) -> Any:
        """User functions are rewritten, because they may hold tile loops of their own."""
        if isinstance(function, FunctionType) and is_inlined(function):
            return inline(function)
        return partial(_extremum, function) if function is min or function is max else function

    # --- loops

    def _block_size(self, given: Any) -> int:
        """A block size given by the kernel, or the config's for the place in the program that asks."""
        if given is not None:
            return given if isinstance(given, TileSize) else int(given)
        return self._block_sizes[self._next(self._places.blocks)]

    def _next(self, decisions: Mapping[Any, Sequence[Any]]) -> Any:
        """The next of the decisions that the trace made at this place; they come round again with every tile."""
        where = location.site()
        made = decisions[where]
        self._asked[where] += 1
        return made[(self._asked[where] - 1) % len(made)]

    def forms_product(self) -> bool:
        """Whether the index vectors of the subscript at this place form a product."""
        return bool(self._next(self._places.products))

    def tile_loop(self, loop: TileLoop) -> TileLoop:
        bounds = [[int(real_size(b)) for b in side] for side in (loop.begins, loop.ends)]
        blocks = [self._block_size(b) for b in loop.blocks]
        return TileLoop(loop.function, bounds[0], bounds[1], blocks, loop.single)

    def grid_loop(self, loop: TileLoop, steps: list[Any]) -> TileLoop:
        result = StepLoop(loop.function, list(map(int, loop.begins)), list(map(int, loop.ends)), [1], loop.single)
        result.steps = [int(s) for s in steps]
        return result

    def loop(
        self, loop: DeviceLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]:  # fmt: skip
        assert isinstance(loop, TileLoop)
        if self.in_device:
            for items in _items(loop):
                values = body(items, *values)
            return values
        self.in_device = True
        try:
            with EagerMode():
                for items in _items(loop):
                    body(items, *values)
        finally:
            self.in_device = False
        return values

    def register_block_size(self, minimum: int, maximum: int) -> int:
        return TileSize(RegisteredBlock(self._block_size(None)))

    def register_tunable(self, name: str, fragment: Any) -> Any:
        return self._config.get(name, fragment.default)

    def specialize(self, value: Any) -> Any:
        return value

    def constant(self, value: Any, name: str) -> int:
        return int(value)

    def barrier(self) -> None:
        pass

    def jagged_loop(self, lengths: torch.Tensor) -> TileLoop:
        """Rows are run one by one (see `run`), so that a tile ends where its row ends."""
        assert lengths.numel() == 1, "rows of different length are run one by one"
        return TileLoop("hl.jagged_tile", [0], [int(lengths)], [self._block_size(None)], single=True)

    def library(self, name: str, *args: Any) -> Any:
        """Does what `hl.<name>(*args)` stands for."""
        with torch._C.DisableTorchFunction():  # subscripts in there are torch's own
            return FUNCTIONS[name](self, *args)

    # --- values

    def tile_index(self, tile: EagerTile) -> torch.Tensor:
        return torch.arange(tile.begin, tile.begin + tile.length, dtype=torch.int32, device=self.device)

    def full(self, shape: Any, fill: Any, dtype: torch.dtype | None) -> torch.Tensor:
        sizes = [int(real_size(s)) for s in (shape if isinstance(shape, (list, tuple, torch.Size)) else [shape])]
        if isinstance(fill, torch.Tensor):
            return fill.to(dtype or fill.dtype).expand(sizes).clone()
        return torch.full(sizes, fill, dtype=dtype or torch.float32, device=self.device)

    def dot(self, a: torch.Tensor, b: torch.Tensor, acc: Any, out_dtype: torch.dtype | None) -> torch.Tensor:
        return dot(a, b, acc, out_dtype)


def _extremum(python: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`min` or `max`, of tiles element by element."""
    values = args if len(args) > 1 else tuple(args[0])
    if kwargs or not any(isinstance(v, torch.Tensor) for v in values):
        return python(*args, **kwargs)
    choose = torch.minimum if python is min else torch.maximum
    return reduce(choose, (torch.as_tensor(v) for v in values))


def _items(loop: TileLoop) -> Iterator[Any]:
    """What the `for` target receives, one tile (or tuple of tiles) after the other."""
    if isinstance(loop, StepLoop):
        axes: list[Any] = [range(b, e, s) for b, e, s in zip(loop.begins, loop.ends, loop.steps, strict=True)]
    else:
        axes = [
            [EagerTile.make(start, b, e, w) for start in range(b, e, w)]
            for b, e, w in zip(loop.begins, loop.ends, loop.blocks, strict=True)
        ]
    registered = [(k, b.owner) for k, b in enumerate(loop.blocks) if isinstance(b, TileSize) and b.factor == 1]
    for combination in itertools.product(*axes):
        for k, owner in registered:
            if isinstance(owner, RegisteredBlock):
                owner.tile = combination[k]
        yield combination[0] if len(combination) == 1 else combination
