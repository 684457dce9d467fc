"""`kernel`: `helion.kernel` with configs from tables, and never a tuning run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import helion

from . import choice
from .ahead import config

if TYPE_CHECKING:
    from helion import Kernel

KERNELS: list[Kernel] = []
"""All kernels of the package that are imported so far."""


def kernel(
    op: str, *, prefer: choice.Preference | None = None, prefer_on: str = "", **settings: Any
) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorator of the kernels of operation `op`, whose configs stand in the tables `<op>.<gpu>.json`.

    `prefer(*args)`: keys of the config where no table serves, for kernels that know more of themselves than helion's
    planner can see. `prefer_on`: the targets that this holds for, or what their names begin with. `settings`: further
    settings of helion's.
    """

    def decorate(function: Callable[..., Any]) -> Kernel:
        made: Kernel = helion.kernel(
            config=functools.partial(config, op),
            autotune_effort="none",
            force_autotune=False,
            use_default_config=False,
            **settings,
            ignore_warnings=["GradientNotTracked"],  # gradients are the business of the operator around it
        )(function)
        KERNELS.append(made)
        if prefer is not None:
            choice.PREFERENCES[made] = prefer, prefer_on
        return made

    return decorate
