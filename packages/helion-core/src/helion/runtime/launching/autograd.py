"""Telling autograd what a launch changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ...lower.effects import effects

if TYPE_CHECKING:
    from ...emit.module import Generated


def changed_arguments(generated: Generated) -> list[int]:
    """Positions of the tensors of the caller that the kernel stores to."""
    program = generated.program
    return [k for k in sorted(effects(program).stores) if program.tensors[k].borrowed]


def telling_autograd(launch: Callable[..., None], generated: Generated) -> Callable[..., None]:
    """A launch after which autograd knows which tensors of the caller have other contents, if it changes any.

    A backward pass that saved one of them before then fails instead of using what it holds now.
    """
    changed = changed_arguments(generated)
    if not changed:
        return launch

    def launch_and_tell(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        launch(kernel, grid, *args, **options)
        torch.autograd.graph.increment_version([args[k] for k in changed])

    return launch_and_tell
