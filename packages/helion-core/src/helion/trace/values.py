"""What device code handles: `TileTensor` for a value on the device, `Tile` for the tile of a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import torch

from .. import exc, location
from ..ir import Block, BlockSize, HostTensor, Range, Size, Value

if TYPE_CHECKING:
    # torch's annotations say that an operator on a subclass gives a plain Tensor; on ours it gives ours
    _Tensor = Any
    from .symbols import KernelShapeEnv
else:
    _Tensor = torch.Tensor


_CPU = torch.device("cpu")


class TileTensor(_Tensor):
    """A tensor with the shape and dtype of a device value and no data. Operations on it are recorded by the tracer."""

    value: Value
    home: Block | None  # where this object was made: only there may it be updated in place
    updated: bool  # whether it was
    poisoned: bool  # whether another object for the same value was
    sharing: list[TileTensor] | None  # this object and its views, where it has any
    loaded: HostTensor | None  # what it, or what it is a view of, was loaded from, until a variable holds it

    if TYPE_CHECKING:  # object's own give a bool

        def __eq__(self, other: object) -> TileTensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> TileTensor: ...  # type: ignore[override]

    @staticmethod
    def wrap(value: Value, env: KernelShapeEnv) -> TileTensor:
        shape = [env.sym(size) for size in value.shape]
        with env.taking_sizes_for_large():
            result: TileTensor = torch.Tensor._make_wrapper_subclass(
                TileTensor, shape, strides=[0] * len(shape), dtype=value.dtype, device=_CPU
            )
        result.value, result.home, result.updated, result.poisoned = value, value.block, False, False
        result.sharing = result.loaded = None
        return result

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise exc.StaleValue(location=location.here())

    def share_with(self, view: Any) -> None:
        """Notes that `view` shows the elements of this value: in eager an update in place of one would change both."""
        if isinstance(view, TileTensor) and view is not self:
            ours, theirs = self.sharing or [self], view.sharing or [view]
            if ours is not theirs:
                ours.extend(theirs)
                for tensor in theirs:
                    tensor.sharing, tensor.loaded = ours, self.loaded
                self.sharing = ours

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"TileTensor({list(self.value.shape)}, {self.value.dtype})"


class Tile(_Tensor):
    """The current tile of a loop. In a subscript it stands for its indices, in place of a size for its block size.

    `tile.index` is the vector of indices, `begin`, `end` (clamped), `block_size`, `id` and `count` are integers.
    `tile + k` is the same tile shifted by k elements.
    """

    range: Range
    block: BlockSize | None
    offset: Size

    @staticmethod
    def make(range_: Range, block: BlockSize | None, env: KernelShapeEnv, offset: Size = 0) -> Tile:
        result: Tile = torch.Tensor._make_wrapper_subclass(Tile, [], dtype=torch.int64, device=_CPU)
        result.range, result.block, result.offset = range_, block, offset
        result.env = env  # type: ignore[attr-defined]
        return result

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise exc.StaleValue(location=location.here())

    def __iter__(self) -> NoReturn:  # type: ignore[override]
        raise exc.DeviceValueAsPython(
            wanted="iterable", how="a tile is iterated or unpacked",
            instead="loop over its indices with `for i in hl.grid(tile.begin, tile.end):`, or take them as a vector, "
            "tile.index",
        )  # fmt: skip

    @property
    def block_size(self) -> int | torch.SymInt:
        return self.env.sym(self.range.width)  # type: ignore[attr-defined]

    @property
    def begin(self) -> Any:
        return _tracer().tile_begin(self)

    @property
    def end(self) -> Any:
        return _tracer().tile_end(self)

    @property
    def id(self) -> Any:
        return _tracer().tile_id(self)

    @property
    def count(self) -> Any:
        return _tracer().tile_count(self)

    @property
    def index(self) -> torch.Tensor:
        return _tracer().tile_index(self)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        shift = f" + {self.offset}" if self.offset != 0 else ""
        return f"Tile({self.range.name}{shift})"


def _tracer() -> Any:
    from ..frontend import engine

    found = engine.current()
    if found is None:
        raise exc.NotInsideKernel(name="tile", region="a kernel", inside="the loop that it belongs to")
    return found
