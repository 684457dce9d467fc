"""`operator`: one call makes a `torch.library` operator with a fake implementation and a backward pass.

torch's dispatcher and the autograd layer that torch.library writes in Python cost several times what a call of a kernel
does. Where nobody looks on (no compilation, no mode or transform, no subclass of tensors, no profiler), calls go
straight to the implementation, in an autograd function of their own where gradients are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from helion.integration import versions

_LIBRARY = torch.library.Library("helion_kernels", "DEF")

Setup = Callable[[Any, tuple[Any, ...], Any], None]
_below_autograd = torch._C._AutoDispatchBelowAutograd
_profiled = torch._C._autograd._profiler_enabled
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def operator(
    schema: str, implementation: Callable[..., Any], fake: Callable[..., Any],
    backward: Callable[..., Any] | None = None, setup: Setup | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """Defines `torch.ops.helion_kernels.<name>` and returns the function to call it with, positionally.

    `schema`: as `torch.library.define` takes it, starting with the name. `implementation` runs on every device and
    must not return its inputs or views of them. `fake` gives empty results of the same sizes, dtypes and strides.
    `setup(ctx, inputs, output)` and `backward(ctx, *grads)`: as `torch.library.register_autograd` takes them; the
    gradient of a result that nothing used is None. Without them the operator cannot be differentiated, and says so.
    """
    name = schema[: schema.index("(")]
    qualified = f"helion_kernels::{name}"
    setup, backward = _sparing(setup), backward or _refused(name)
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_LIBRARY)
    torch.library.register_autograd(qualified, backward, setup_context=setup, lib=_LIBRARY)
    overload = getattr(torch.ops.helion_kernels, name).default
    differentiable = _differentiable(name, implementation, setup, backward)

    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return overload(*args)
        if _looked_on():
            return transformable(*args) if _transformed() else overload(*args)
        wanted, forward_mode = False, versions.forward_ad._current_level >= 0
        for arg in args:
            if isinstance(arg, torch.Tensor):
                if type(arg) not in _PLAIN or arg.is_meta or arg.is_neg() or versions.wrapped(arg):
                    return overload(*args)
                if forward_mode and versions.forward_mode([arg]):
                    return differentiable(*args)  # which raises: operators of torch.library lose tangents silently
                wanted = wanted or arg.requires_grad
        if wanted and torch.is_grad_enabled():
            return differentiable(*args)
        with _below_autograd():
            return implementation(*args)

    call.__name__ = call.__qualname__ = name
    transformable = _transformable(name, call, setup, backward)
    return call


def _looked_on() -> bool:
    """Whether torch, or a profiler, wants to see operators."""
    return versions.looked_on() or versions.function_modes() > 0 or _profiled()


def _differentiable(
    name: str, implementation: Callable[..., Any], setup: Setup, backward: Callable[..., Any]
) -> Callable[..., Any]:
    """`implementation` with its gradients, as a function of autograd's."""

    def forward(ctx: Any, *args: Any) -> Any:
        with _below_autograd():
            output = implementation(*args)
        setup(ctx, args, output)
        return output

    return _function(name, forward=forward, backward=backward)


def _transformed() -> bool:
    """Whether torch.func (grad, vmap and the like) looks on, which calls no gradients of operators of torch.library."""
    return versions.active_transform() is not None and not versions.functionalizing() and not versions.active_modes()


def _transformable(
    name: str, call: Callable[..., Any], setup: Setup, backward: Callable[..., Any]
) -> Callable[..., Any]:
    """`call` as a function of autograd's that torch.func takes apart, one transform after the other."""

    def vmap(info: Any, dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """One call for each element of the batch: kernels have dimensions of their own."""
        size = info.batch_size
        parts = [a if d is None else a.unbind(d) if size else [_element(a, d)] for a, d in zip(args, dims, strict=True)]
        calls = [
            call(*(p if d is None else p[i] for p, d in zip(parts, dims, strict=True))) for i in range(max(1, size))
        ]

        def stacked(*results: torch.Tensor) -> torch.Tensor:
            return torch.stack(results) if size else results[0].new_empty((0, *results[0].size()))

        if isinstance(calls[0], tuple):
            return tuple(map(stacked, *calls)), (0,) * len(calls[0])
        return stacked(*calls), 0

    return _function(name, forward=call, setup_context=setup, backward=backward, vmap=vmap)


def _element(batch: torch.Tensor, dim: int) -> torch.Tensor:
    """Of the form of those that `batch`, which is empty, has none of."""
    return batch.new_zeros(batch.movedim(dim, 0).size()[1:])


def _function(name: str, **methods: Callable[..., Any]) -> Callable[..., Any]:
    """A function of autograd's with these methods."""

    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError(f"helion_kernels::{name} has no derivative in forward mode; use reverse mode")

    static = {key: staticmethod(method) for key, method in (*methods.items(), ("jvp", jvp))}
    return type(name, (torch.autograd.Function,), static).apply  # type: ignore[attr-defined,no-any-return]


def _sparing(setup: Setup | None) -> Setup:
    """`setup`, and no tensors of zeros for the gradients of results that nothing used."""

    def sparing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.set_materialize_grads(False)
        if setup is not None:
            setup(ctx, inputs, output)

    return sparing


def _refused(name: str) -> Callable[..., Any]:
    message = f"helion_kernels::{name} has no derivative"
    if name.endswith("_backward"):
        message += "; second derivatives are not supported: call torch's own function where you need them"

    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(message)

    return backward
