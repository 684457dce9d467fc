"""`AbstractKernel`: what tuning and torch integration ask of kernels. `kernel` implements it, and calls both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .definition import Definition

if TYPE_CHECKING:
    from ..ir import Program
    from .specialization import Specialization


class AbstractKernel(Definition, ABC):
    """A kernel that can be bound and called."""

    @abstractmethod
    def bind(self, args: Sequence[Any]) -> Specialization:
        """The specialisation for `args`, traced where it is new. Raises the errors of the user's kernel."""

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it like the function."""

    @property
    @abstractmethod
    def programs(self) -> list[Program]:
        """What was traced so far, one for each specialisation."""

    @abstractmethod
    def forget_runs(self) -> None:
        """Has every signature ask its specialisation again what to run."""
