"""What several tile loops of a kernel have in common: memory, and the host code between them.

A kernel is one launch, which stands where its last tile loop does. Host code between the loops therefore runs before
all of them: it may neither read what an earlier loop writes nor change what one uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from .. import exc, ir, location
from .fakes import not_compiled

if TYPE_CHECKING:
    from .tracer import Tracer


def check_order(tracer: Tracer, where: location.Location | None) -> None:
    """Raises `LoopDependencyError` where the last tile loop reads what one that runs at the same time writes."""
    *earlier, last = tracer.phases
    together = [phase for phase in earlier if phase.stage == last.stage]
    written = {op.tensor for phase in together for op in _accesses(phase) if op.effect}
    memory = tracer.memory
    for op in _accesses(last):
        if isinstance(op, ir.Store):
            continue
        if op.tensor in written or any(memory[op.tensor].overlaps(memory[tensor]) for tensor in written):
            raise exc.LoopDependencyError(name=op.tensor.source, location=where)


def _accesses(phase: ir.Phase) -> Iterator[ir.Access]:
    return (op for op in phase.body.walk() if isinstance(op, ir.Access))


# Operators that ask a tensor for its layout alone.
_LAYOUT = frozenset({
    "empty_like", "new_empty", "new_empty_strided", "zeros_like", "new_zeros", "ones_like", "new_ones", "full_like",
    "new_full", "rand_like", "randn_like", "randint_like",
})  # fmt: skip


def _gives_data(func: Any) -> bool:
    """Whether `func` has tensors as results; what asks for sizes and the like has none."""
    return any("Tensor" in str(result.type) for result in func._schema.returns)


class BetweenLoops(TorchDispatchMode):
    """Sees the host code that stands behind a tile loop; `check` tells, at the next one, what must not stand there."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer
        self._first: exc.HostCodeBetweenLoops | None = None
        self._traceback: TracebackType | None = None

    def check(self) -> None:
        """Raises `HostCodeBetweenLoops`, with a traceback that ends where the host code stands."""
        if self._first is not None:
            raise self._first.with_traceback(self._traceback)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._first is None and not self._tracer.in_device:
            self._note(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def _note(self, func: Any, args: Any, kwargs: Any) -> None:
        uses_data = func._schema.is_mutable or _gives_data(func)
        if func.is_view or func.overloadpacket.__name__ in _LAYOUT or not uses_data:
            return
        given = {a.name: value for a, value in zip(func._schema.arguments, args, strict=False)} | kwargs
        for argument in func._schema.arguments:
            changes = argument.alias_info is not None and argument.alias_info.is_write
            for tensor in tree_iter(given.get(argument.name)):
                if isinstance(tensor, torch.Tensor):
                    self._check(tensor, changes)

    def _check(self, tensor: torch.Tensor, changes: bool) -> None:
        _, fake = self._tracer.real_tensors.get(id(tensor), (tensor, tensor))
        storage = fake.untyped_storage()._cdata
        for phase in self._tracer.phases:
            for op in _accesses(phase):
                if self._tracer.memory[op.tensor].storage == storage and (changes or op.effect):
                    self._first = exc.HostCodeBetweenLoops(
                        does="changes" if changes else "reads", name=op.tensor.source,
                        loop="writes" if op.effect else "reads", location=location.here(),
                        instead="make a new tensor instead of changing this one" if changes and not op.effect else
                        "move it behind the last tile loop or into a tile loop, or make two kernels of this one",
                    )  # fmt: skip
                    frame = location.user_frame()
                    self._traceback = frame and TracebackType(None, frame, frame.f_lasti, frame.f_lineno)
                    return


not_compiled(BetweenLoops.__torch_dispatch__)
