"""The tracing engine: runs a rewritten kernel once and records what its tile loops compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from .. import exc, ir, location
from ..frontend.control import Undefined
from ..frontend.engine import Body, DeviceLoop
from ..ir import Block, Phase
from ..language.loops import TileLoop
from ..settings import Settings
from . import branches, callees, conditions, failures, jagged, loops, ranges
from .between import BetweenLoops, check_order
from .dynamic import HostMode
from .modes import device_modes
from .names import HostContainers, HostNames
from .operators import escape, products
from .ranges import GridLoop
from .symbols import is_symbolic
from .tracer import Tracer
from .values import TileTensor


class TracingEngine(Tracer):
    """One trace of one kernel: what rewritten code and the functions of `helion.language` call."""

    def __init__(
        self, name: str, settings: Settings, defined: location.Location | None = None,
        tunables: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, settings, defined, tunables)
        self._modes = ExitStack()
        self._between: BetweenLoops | None = None  # from the first tile loop on
        self._host_statements: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """The modes under which host code of the kernel runs."""
        with self._modes:
            self._modes.enter_context(self.fake_mode)
            if not self.settings.static_shapes:
                self._modes.enter_context(HostMode(self))
            yield

    # --- conditions and names

    def name_value(self, name: str, value: Any) -> None:
        if not isinstance(value, TileTensor):
            return
        value.loaded = None
        if not value.value.hint and value.home is self.block:
            value.value.hint = name

    def as_condition(self, value: Any, statement: str) -> Any:
        return conditions.as_condition(self, value, statement)

    def negate(self, condition: Any) -> Any:
        return torch.logical_not(condition)

    def as_operand(self, value: Any, word: str) -> Any:
        return conditions.as_operand(self, value, word)

    def either(self, first: Any, second: Any, word: str) -> Any:
        return conditions.either(self, first, second, word)

    @contextmanager
    def host_statement(self, statement: str) -> Iterator[None]:
        if self.in_device:
            yield
            return
        self._host_statements.append(statement)
        try:
            yield
        finally:
            self._host_statements.pop()

    def device_assert(self, condition: Any, message: str) -> None:
        escape.device_assert(self, condition, message)

    def callee(self, function: Any) -> Any:
        return callees.callee(self, function)

    # --- host calls that only a trace gives a meaning

    def register_block_size(self, minimum: int, maximum: int) -> torch.SymInt:
        if self.in_device:
            raise exc.UnsupportedOperation(
                op="hl.register_block_size()", reason=" inside a tile loop", instead="register it before the tile loop"
            )
        block = self.new_block(None, minimum=max(1, minimum), maximum=maximum)
        self._replace_call("register_block_size", block.id)
        return self.env.sym(block.symbol)  # type: ignore[return-value]

    def register_tunable(self, name: str, fragment: Any) -> Any:
        from .tunables import register

        value = register(self, name, fragment)
        self._replace_call("register_tunable", ir.Baked(value))
        return value

    def specialize(self, value: Any) -> Any:
        self._replace_call("specialize", None)
        return self._specialized(value)

    def _specialized(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, torch.Size)):
            return tuple(map(self._specialized, value))
        if is_symbolic(value) or self.is_device_value(value):
            return self.constant(value, "hl.specialize")
        return value

    def constant(self, value: Any, name: str) -> int:
        """`value` as a Python int; a host size gets a guard. Raises `DeviceValueAsPython` for a value of the device."""
        if self.is_device_value(value):
            raise exc.DeviceValueAsPython(
                wanted="int", how=f"by {name}", location=location.here(),
                instead="use range(...) or hl.tile(...), which loop on the device",
            )  # fmt: skip
        return int(value)

    def barrier(self) -> None:
        if self.in_device:
            raise exc.UnsupportedOperation(
                op="hl.barrier()", reason=" inside a tile loop", location=location.here(),
                instead="write it at the top level of the kernel, between two tile loops",
            )  # fmt: skip
        self._replace_call("barrier", None)
        self.stage += 1

    def _replace_call(self, name: str, block: int | ir.Baked | None) -> None:
        """Notes a call that matters only in tracing: the wrapper writes a block size (or the argument) in its place."""
        if not self.in_device:
            self.replacements.setdefault((location.line_here()[1], name), []).append(block)

    # --- loops and branches

    def tile_loop(self, loop: TileLoop) -> TileLoop:
        return ranges.tile_loop(self, loop)

    def grid_loop(self, loop: TileLoop, steps: list[Any]) -> GridLoop:
        return ranges.grid_loop(self, loop, steps)

    def jagged_loop(self, lengths: Any) -> TileLoop:
        return jagged.jagged_loop(self, lengths)

    def loop(
        self, loop: DeviceLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]:  # fmt: skip
        assert isinstance(loop, TileLoop)
        if self.in_device:
            return loops.device_loop(self, loop, ranges.ranges_of(self, loop, targets), body, names, values)
        return self._top_level_loop(loop, body, names, values, number, targets)

    def _top_level_loop(
        self, loop: TileLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]:  # fmt: skip
        if self._host_statements:
            raise exc.DeviceLoopInHostControlFlow(statement=self._host_statements[-1], location=location.here())
        where = location.here()
        if self._between is not None:
            self._between.check()
        for bound in [*loop.begins, *loop.ends]:
            if self.env.is_device(bound):
                raise exc.InvalidArgument(
                    what="a device value as a bound of the outermost loop", location=where,
                    instead="compute the bound on the host, or loop over it inside",
                )  # fmt: skip
        grid = tuple(ranges.ranges_of(self, loop, targets))
        self.names = HostNames(body, dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        containers = HostContainers(body, dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        self.block = block = Block()
        try:
            with failures.device_code(self), device_modes(self):
                finals = body(ranges.item(self, loop, grid), *values)
        finally:
            self.block = None
        self.check_updates(block)
        containers.leave_loop()
        if not block.has_effect():
            raise exc.DeviceLoopWithoutEffect(location=where)
        self.phases.append(Phase(grid, block, number, where, self.stage))
        check_order(self, where)
        if self._between is None:
            self._between = self._modes.enter_context(BetweenLoops(self))
        return [_host_after(n, v, f) for n, v, f in zip(names, values, finals, strict=True)]

    def while_loop(
        self, test: Callable[..., Any], body: Body, names: Sequence[str], values: Sequence[Any]
    ) -> Sequence[Any]:
        return loops.while_loop(self, test, body, names, values)

    def branch(
        self, test: Any, then: Body, other: Body, names: Sequence[str], values: Sequence[Any], statement: str
    ) -> Sequence[Any]:
        return branches.branch(self, test, then, other, names, values, statement)

    # --- functions of `helion.language`

    def dot(self, a: Any, b: Any, acc: Any, out_dtype: torch.dtype | None) -> TileTensor:
        return products.dot(self, a, b, acc, out_dtype)

    def library(self, name: str, *args: Any) -> Any:
        """Records what `hl.<name>(*args)` does."""
        from .library import FUNCTIONS  # first binds take long enough without what most kernels do not call

        return FUNCTIONS[name](self, *args)


def _host_after(name: str, before: Any, after: Any) -> Any:
    """What a name assigned in a top-level loop holds behind it: nothing that the host may read."""
    return before if after is before else Undefined(name, behind=True)
