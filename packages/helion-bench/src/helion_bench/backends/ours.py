"""Kernels of helion-kernels: with the configs its users get, with the defaults of helion's planner, and freshly tuned.

The three call the same kernels, which remember one config each. So every kernel that a case calls is recorded, and a
backend that becomes active puts its own choices in place.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..cases import catalogue
from ..cases.operation import Operation
from ..results.model import CaseKey, CompileFacts, Role
from .backend import Backend, Implementation

if TYPE_CHECKING:
    from helion import BoundKernel, Config


@dataclass
class Called:
    """One specialisation of a kernel that the current case called: by which operation, with which arguments."""

    op: str
    bound: BoundKernel
    args: Sequence[Any]
    configs: dict[str, Config] = field(default_factory=dict)
    """Choices by backend."""


CALLED: list[Called] = []
"""What the current case called. The arguments are released with its end."""

_case: list[CaseKey] = []


def begin(case: CaseKey) -> None:
    """Forgets the specialisations of another case, so that every kernel that `case` calls is seen."""
    if _case == [case]:
        return
    from helion_kernels.frame.kernel import KERNELS

    end()
    _case[:] = [case]
    for kernel in KERNELS:
        kernel.reset()


def end() -> None:
    """The current case is over: its arguments are released."""
    CALLED.clear()
    _case.clear()


class Ours(Backend):
    """What a user of helion-kernels gets."""

    name = "helion"
    description = "helion-kernels as it comes: configs of its tables, else those its kernels prefer"
    role = Role.OURS
    cpu = True

    def version(self) -> str:
        return metadata.version("helion-kernels")

    def declines(self, case: CaseKey) -> str | None:
        found = function(catalogue.operation(case.op).ours)
        return None if found is not None else f"{case.op} is not in this helion-kernels"

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        begin(case)
        call = function(operation.ours)
        assert call is not None, "asked for what was declined"

        def run(**inputs: Any) -> Any:
            return operation.call_ours(call, inputs)

        return run

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        from helion_kernels.frame import choice

        for called in CALLED:
            if called.bound.config != (wanted := self._config(called)):
                called.bound.set_config(wanted)
                called.configs[self.name] = called.bound.config or wanted  # all its keys, to compare with next time
        with choice.chosen_by(self._first_call), self._no_fallback():
            yield

    def config(self) -> str:
        return "; ".join(f"{c.bound.kernel.name}: {c.configs[self.name]}" for c in CALLED if self.name in c.configs)

    def facts(self, targets: Sequence[str]) -> list[CompileFacts]:
        return [self._facts(called, target) for called in CALLED for target in targets]

    def _facts(self, called: Called, target: str) -> CompileFacts:
        """Compiled with the default config of the target; a choice made for another device says nothing there."""
        from helion import exc
        from helion.runtime.targets import parse_target

        name = called.bound.kernel.name
        try:
            found = called.bound.compile_for(parse_target(target))
        except exc.Base as error:
            return CompileFacts(target, name, error=str(error).strip().splitlines()[0])
        matrix = ", ".join(f"{k} {n}" for k, n in found.matrix_instructions.items())
        return CompileFacts(target, name, found.registers, found.spills, found.shared_memory, found.code_size, matrix)

    def choose(self, called: Called) -> Config:
        """The config of this backend."""
        from helion_kernels.frame import choice

        found = choice.from_tables(called.op, called.bound, called.args)
        return choice.default(called.bound, called.args) if found is None else found

    def _first_call(self, op: str, bound: BoundKernel, args: Sequence[Any]) -> Config:
        called = Called(op, bound, args)
        CALLED.append(called)
        return self._config(called)

    def _config(self, called: Called) -> Config:
        found = called.configs.get(self.name)
        if found is None:
            found = called.configs[self.name] = self.choose(called)
        return found

    @contextlib.contextmanager
    def _no_fallback(self) -> Iterator[None]:
        """A call that helion-kernels leaves to torch is an error: torch's time is no time of ours."""
        from helion_kernels.frame import support

        with warnings.catch_warnings():
            warnings.simplefilter("error", support.FallbackWarning)
            support._said.clear()  # it is said once, and must be raised every time
            yield


class OursDefault(Ours):
    """What a kernel author gets without tuning."""

    name = "helion-default"
    description = "helion-kernels with the default configs of helion's planner"
    routine = False

    def choose(self, called: Called) -> Config:
        return called.bound.default_config()


class OursTuned(Ours):
    """What tuning on the very case gives; HELION_AUTOTUNE_BUDGET_SECONDS bounds the time of each search."""

    name = "helion-tuned"
    description = "helion-kernels tuned for each case in this run"
    routine = False
    searches = True

    def choose(self, called: Called) -> Config:
        return called.bound.autotune(called.args, force=True)


def function(path: str) -> Any | None:
    """The function at `module:name`, or None if there is no such module or function."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == module.split(".")[0]:
            return None
        raise
