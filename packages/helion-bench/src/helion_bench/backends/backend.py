"""`Backend`: somebody who computes operations."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..cases.operation import Operation
from ..results.model import CaseKey, CompileFacts, Role

Implementation = Callable[..., Any]
"""Takes the inputs of a case by name; gives a tensor or a tuple of tensors."""


class Backend(abc.ABC):
    """A way to compute operations. Subclasses are found by entry points of the group `helion_bench.backends`.

    `routine`: whether it takes part where nobody names backends. `compiles`: whether its first call compiles.
    `searches`: whether that measures candidates, which must happen while nothing else uses the GPU. `cpu`: whether it
    can run on CPU tensors.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    role: ClassVar[Role] = Role.PEER
    routine: ClassVar[bool] = True
    compiles: ClassVar[bool] = True
    searches: ClassVar[bool] = False
    cpu: ClassVar[bool] = False

    def version(self) -> str:
        """Of what it calls; empty if that is not there."""
        return ""

    def why_not(self) -> str | None:
        """Why it cannot run on this machine with a GPU, or None. Importing what it calls is left to `implement`."""
        return None

    @abc.abstractmethod
    def declines(self, case: CaseKey) -> str | None:
        """Why it does not compute `case`, or None."""

    @abc.abstractmethod
    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        """The function to measure; called once for a case, in the process that measures. May raise anything."""

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """Surrounds every call of what `implement` gave, backward passes too."""
        return contextlib.nullcontext()

    def config(self) -> str:
        """What it chose for the case that was called last, as text; empty if there is nothing to choose."""
        return ""

    def facts(self, targets: Sequence[str]) -> list[CompileFacts]:
        """What the compiler says of the kernels of the case that was called last, for GPUs that need not be there."""
        return []


class Table(Backend):
    """A backend with one function an operation, in the table `functions`; `forward_only` names those without gradients.

    A value of the table takes the inputs by name.
    """

    functions: ClassVar[dict[str, Implementation]]
    forward_only: ClassVar[frozenset[str]] = frozenset()

    def declines(self, case: CaseKey) -> str | None:
        if case.op not in self.functions:
            return f"{self.name} has no {case.op}"
        if case.pass_ != "fwd" and case.op in self.forward_only:
            return f"{self.name} has no backward pass of {case.op}"
        return None

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        return self.functions[case.op]
