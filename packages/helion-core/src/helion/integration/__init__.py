"""Kernels inside torch programs: under torch.compile and torch.export, fake and meta tensors, transforms, and as
operators of torch.library.

A call enters here where torch only looks at it, or changes what it means; ordinary calls never do. What leaves is an
operator call that torch understands: with a schema, an implementation for tensors without data, and no aliases.

`graph`: what Dynamo puts into its graph. `dispatch`: one call as a call of an operator. `dry`: the user's host code
with launches that only look. `outcome`: what a call writes and returns. `operators`: the operators themselves.
`named`, `schema`, `promises`: operators with a name of the user's. `looking`: whether torch looks on. `capture`: CUDA
graphs. `versions`: what of torch is no public interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .named import Operator, as_op

__all__ = ["Operator", "as_op"]


def __getattr__(name: str) -> Any:
    """Kernels need part of this package; operators are imported when somebody makes one."""
    if name in __all__:
        from . import named

        return getattr(named, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
