"""`ahead`: on a first call, kernels that are launched one after the other are compiled beside each other.

Most of a compilation is LLVM, ptxas and a C compiler, and none of them holds Python's lock. Yet the kernels of a
backward pass would wait for each other, since each is compiled when its turn comes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import choice

if TYPE_CHECKING:
    from helion import BoundKernel


class ahead:
    """A block that launches kernels: with the first of them that has to be compiled, so are `kernels`, in threads.

    `arguments()`: those of each of `kernels`, where any tensors of the same dtypes, sizes and strides stand for what
    the block has yet to compute. It is not called where nothing has to be compiled. Blocks do not nest: kernels call no
    operators.
    """

    __slots__ = ("_arguments", "_kernels")

    def __init__(self, kernels: Sequence[Any], arguments: Callable[[], Iterable[Sequence[Any]]]) -> None:
        self._kernels, self._arguments = kernels, arguments

    def __enter__(self) -> None:
        _this_thread.block = self

    def __exit__(self, *_: object) -> None:
        _this_thread.block = None

    def begin(self, compiled: BoundKernel) -> None:
        """Begins to compile all but `compiled`.

        Kernels are traced here, not in the threads: that holds Python's lock, and torch has state for each thread.
        """
        for kernel, args in zip(self._kernels, self._arguments(), strict=True):
            bound = kernel.bind(args)
            if bound is not compiled and bound.config is None:
                threading.Thread(target=_choose, args=(bound, args), name="helion-ahead", daemon=False).start()


class _ThisThread(threading.local):
    block: ahead | None = None


_this_thread = _ThisThread()


def compile_others(bound: BoundKernel) -> None:
    """Called as `bound` is about to be compiled: begins with the other kernels of the block, too.

    Whoever launches those waits for the locks of their specialisations. Errors are left to the launches, which meet
    them again, in order.
    """
    block, _this_thread.block = _this_thread.block, None
    if block is not None and bound.target is not None and choice.by_tables():
        with contextlib.suppress(Exception):
            block.begin(bound)


def _choose(bound: BoundKernel, args: Sequence[Any]) -> None:
    """Choosing a config compiles it. No daemon: a process that exits would tear down the compiler below a thread."""
    with contextlib.suppress(Exception):
        bound.run_for(args)
