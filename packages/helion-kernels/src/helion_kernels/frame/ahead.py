"""`ahead`: on a first call, kernels that are launched one after the other are compiled beside each other.

Most of a compilation is LLVM, ptxas and a C compiler, and none of them holds Python's lock. Yet the kernels of a
backward pass would wait for each other, since each is compiled when its turn comes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from . import choice

if TYPE_CHECKING:
    from helion import BoundKernel, Config

log = logging.getLogger(__name__)


class ahead:
    """A block that launches kernels: as the first of them needs a config, those of `kernels` are chosen in threads.

    Choosing compiles, and is all that threads do: no module is loaded there, and no stream is asked for anything. Each
    launch then takes the config, or the error, that its own choice would have come to. Threads end with the block,
    however it ends.

    `arguments()`: those of each of `kernels`, where any tensors of the same dtypes, sizes and strides stand for what
    the block has yet to compute. It is not called where nothing has to be chosen. `kernels`: best the one first that
    takes longest to compile. Blocks do not nest: kernels call no operators.
    """

    __slots__ = ("_arguments", "_begun", "_kernels", "_pool")

    def __init__(self, kernels: Sequence[Any], arguments: Callable[[], Iterable[Sequence[Any]]]) -> None:
        self._kernels, self._arguments = kernels, arguments
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[BoundKernel, Future[Any]] = {}

    def __enter__(self) -> None:
        _this_thread.block = self

    def __exit__(self, *_: object) -> None:
        _this_thread.block = None
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def config(self, op: str, bound: BoundKernel, args: Sequence[Any]) -> Config:
        """What was begun for `bound`, or its choice here, once the others are begun."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(len(self._kernels), thread_name_prefix="helion-ahead")
            self._begin_others(bound, self._pool)
        begun = self._begun.pop(bound, None)
        found: Config = choice.config(op, bound, args) if begun is None else begun.result()
        return found

    def _begin_others(self, first: BoundKernel, pool: ThreadPoolExecutor) -> None:
        """Kernels are traced here, not in the threads: that holds Python's lock, and torch has state for each thread.

        Errors are left to the launches, which meet them again, in order; so is all work where no thread can be started,
        as when the interpreter exits.
        """
        try:
            for kernel, args in zip(self._kernels, self._arguments(), strict=True):
                bound = kernel.bind(args)
                if bound is not first and bound.config is None:
                    self._begun[bound] = pool.submit(_in_thread, bound, args)
        except Exception:
            log.debug("kernels are compiled one after the other", exc_info=True)


class _ThisThread(threading.local):
    block: ahead | None = None


_this_thread = _ThisThread()


def config(op: str, bound: BoundKernel, args: Sequence[Any]) -> Config:
    """`choice.config`, by the block that this thread is in where something is to be compiled by our own choice.

    A call that is captured into a CUDA graph does not come here: what has no config yet is refused there.
    """
    block = _this_thread.block
    if block is None or bound.target is None or not choice.by_tables():
        return choice.config(op, bound, args)
    return block.config(op, bound, args)


def _in_thread(bound: BoundKernel, args: Sequence[Any]) -> Any:
    """A new thread is on the first GPU, whichever its caller is on."""
    chooser = bound.kernel.chooser
    assert chooser is not None
    with torch.cuda.device(bound.device) if bound.device.type == "cuda" else contextlib.nullcontext():
        return chooser(bound, args)
