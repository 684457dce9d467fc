"""`operator`: one call makes a `torch.library` operator with a fake implementation and a backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("helion_kernels", "DEF")

Setup = Callable[[Any, tuple[Any, ...], Any], None]


def operator(
    schema: str, implementation: Callable[..., Any], fake: Callable[..., Any],
    backward: Callable[..., Any] | None = None, setup: Setup | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """Defines `torch.ops.helion_kernels.<name>` and returns the function to call it with, positionally.

    `schema`: as `torch.library.define` takes it, starting with the name. `implementation` runs on every device and
    must not return its inputs or views of them. `fake` gives empty results of the same sizes, dtypes and strides.
    `setup(ctx, inputs, output)` and `backward(ctx, *grads)`: as `torch.library.register_autograd` takes them; the
    gradient of a result that nothing used is None. Without them the operator cannot be differentiated, and says so.

    The function skips the autograd layer, most of the cost of a call, where no argument needs gradients.
    """
    name = schema[: schema.index("(")]
    qualified = f"helion_kernels::{name}"
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_LIBRARY)
    torch.library.register_autograd(qualified, backward or _refused(name), setup_context=_sparing(setup), lib=_LIBRARY)
    overload = getattr(torch.ops.helion_kernels, name).default

    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling() or (torch.is_grad_enabled() and _any_requires_grad(args)):
            return overload(*args)
        with torch._C._AutoDispatchBelowAutograd():
            return overload(*args)

    call.__name__ = call.__qualname__ = name
    return call


def _any_requires_grad(args: tuple[Any, ...]) -> bool:
    return any(a.requires_grad for a in args if isinstance(a, torch.Tensor))


def _sparing(setup: Setup | None) -> Setup:
    """`setup`, and no tensors of zeros for the gradients of results that nothing used."""

    def sparing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.set_materialize_grads(False)
        if setup is not None:
            setup(ctx, inputs, output)

    return sparing


def _refused(name: str) -> Callable[..., Any]:
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(f"helion_kernels::{name} has no derivative; second derivatives are not supported")

    return backward
