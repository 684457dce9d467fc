"""One mistake: a kernel that is wrong, and what its author must be told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

import helion

X = torch.zeros(64, 64)
V = torch.zeros(64)
N = torch.zeros(64, dtype=torch.int64)
MASK = torch.zeros(64, dtype=torch.bool)
HALF = torch.zeros(64, 64, dtype=torch.float16)

MISTAKES: list[Mistake] = []


@dataclass(frozen=True)
class Mistake:
    """`function` is the wrong kernel, or with `script` a function without arguments that makes the mistake itself.

    `error`: the class that must be raised. `at`: a piece of the function's source; the error's line, and its column,
    are those of the piece. `says`: what the message must hold. `started`: whether the kernel runs before the error is
    found, so that the traceback ends at that line too.
    """

    function: Callable[..., Any]
    error: type[Exception]
    at: str | None
    says: tuple[str, ...]
    args: tuple[Any, ...]
    config: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    script: bool
    started: bool
    helpers: tuple[Callable[..., Any], ...] = field(default=())

    @property
    def name(self) -> str:
        return self.function.__name__

    def place(self) -> tuple[int, int] | None:
        """(line, 0-based column) of `at` in the file, first in the kernel, then in the helpers."""
        if self.at is None:
            return None
        for function in (self.function, *self.helpers):
            lines, start = inspect.getsourcelines(function)
            body = next((k for k, text in enumerate(lines) if text.lstrip().startswith(("def ", "async "))), 0)
            found = [(start + k, text.index(self.at)) for k, text in enumerate(lines) if k >= body and self.at in text]
            if found:
                assert len(found) == 1, f"{self.name}: {self.at!r} stands on {len(found)} lines"
                return found[0]
        raise AssertionError(f"{self.name}: {self.at!r} is nowhere")

    def make(self) -> None:
        """Makes the mistake: binds the kernel and generates its code."""
        if self.script:
            self.function()
            return
        kernel = helion.kernel(self.function, **self.settings)
        kernel.bind(self.args).to_triton_code(self.config)

    def provoke(self) -> Exception | None:
        """What making the mistake raises."""
        try:
            self.make()
        except Exception as error:
            return error
        return None


def mistake(
    error: type[Exception],
    at: str | None,
    *says: str,
    args: tuple[Any, ...] = (X,),
    config: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    script: bool = False,
    started: bool = True,
    helpers: tuple[Callable[..., Any], ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the decorated function to the table."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        MISTAKES.append(
            Mistake(function, error, at, says, args, config, settings or {}, script, started and not script, helpers)
        )
        return function

    return add
