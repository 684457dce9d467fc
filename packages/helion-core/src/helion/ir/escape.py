"""Printing and asserting on the device, and text of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .base import Op


@dataclass(eq=False, kw_only=True)
class Print(Op):
    """Prints `prefix` and the inputs, once per lane."""

    effect: ClassVar[bool] = True
    prefix: str


@dataclass(eq=False, kw_only=True)
class Assert(Op):
    """Stops the kernel with `message` where a lane of the input is false (only when Triton's debugging is on)."""

    effect: ClassVar[bool] = True
    message: str


@dataclass(eq=False, kw_only=True)
class InlineAsm(Op):
    """Assembly applied to each element of the inputs, which have one shape; see `tl.inline_asm_elementwise`."""

    asm: str
    constraints: str
    is_pure: bool
    pack: int

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return not self.is_pure


@dataclass(eq=False, kw_only=True)
class InlineTriton(Op):
    """Triton text with `{k}` or `{name}` for the operands; its last line is the result. `names` maps them to inputs."""

    effect: ClassVar[bool] = True
    source: str
    names: tuple[tuple[str, Any], ...]


@dataclass(eq=False, kw_only=True)
class CallTriton(Op):
    """A call of a Triton function.

    `args` are its arguments with `Slot(k)` for input k, `helpers` its source and what it needs.
    """

    effect: ClassVar[bool] = True
    function: str
    args: tuple[Any, ...]
    helpers: tuple[tuple[str, str], ...]
