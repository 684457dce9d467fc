"""Elementwise torch operators as Triton text, made once per operator and dtypes; a template is independent of shapes.

The operators of nearly every kernel come from `ordinary`, the hundreds of others from TorchInductor's lowerings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from ..exactly import exactly_cached
from . import ordinary
from .recorder import Template, Unsupported
from .spellings import HALF, TRITON_DTYPES, cast_text

__all__ = ["HALF", "TRITON_DTYPES", "Template", "Unsupported", "cast_text", "is_elementwise", "template"]


def is_elementwise(target: Any) -> bool:
    """Whether `target` is tagged pointwise, gives one tensor, and there is a body for it."""
    if torch.Tag.pointwise not in target.tags or len(target._schema.returns) != 1:
        return False
    if ordinary.covers(target):
        return True
    from . import inductor

    return inductor.lowers(target)


@exactly_cached
def template(
    target: Any, inputs: tuple[tuple[torch.dtype, bool], ...], args: tuple[Any, ...],
    kwargs: tuple[tuple[str, Any], ...], result: torch.dtype,
) -> Template:  # fmt: skip
    """The text of `target(*args, **kwargs)`. `inputs`: per tensor its dtype and whether it has dims; `Slot(k)` in the
    arguments stands for tensor k. Raises `Unsupported` with the reason where there is no elementwise body.
    """
    with _disable_current_modes():  # lowering calls torch, which must not be traced
        found = ordinary.template(target, inputs, args, kwargs, result)
        if found is not None:
            return found
        from . import inductor

        return inductor.template(target, inputs, args, kwargs, result)
