"""One call of a kernel where torch looks on: as a call of an operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch
from torch.utils._pytree import tree_flatten

from .. import exc
from . import versions
from .operators import form, operator_of, refuse_opaque
from .outcome import outcome

if TYPE_CHECKING:
    from ..runtime.abstract import AbstractKernel

_warned: WeakSet[AbstractKernel] = WeakSet()  # a call is traced several times


def dispatched(kernel: AbstractKernel, args: Sequence[Any]) -> Any:
    """Calls `kernel` as an operator. Raises `TransformNotSupported`, `NotInGraph`, and what tracing raises."""
    if versions.jit_tracer() is not None:
        raise exc.TransformNotSupported(
            name=kernel.name, transform="torch.jit.trace", problem="it records operators, and a kernel is none",
            instead=f'make it one: {kernel.name}.as_op("lib::{kernel.name}"); or use torch.export',
        )  # fmt: skip
    leaves, spec = tree_flatten(tuple(args))
    leaves = [versions.alive(leaf) for leaf in leaves]
    _refuse_gradient(kernel, leaves)
    if kernel not in _warned and torch.is_grad_enabled() and any(getattr(t, "requires_grad", False) for t in leaves):
        _warned.add(kernel)
        kernel.warn_of_gradients(args)
    refuse_opaque(kernel, leaves)
    found = outcome(kernel, leaves, spec)
    _refuse_writes(kernel, [leaves[k] for k in found.written])
    wanted = form(leaves, spec, found)
    returned = operator_of(kernel, wanted)(*wanted.taken(leaves))
    new = () if not found.new else (returned,) if len(found.new) == 1 else returned
    return found.result(leaves, new)


def _refuse_gradient(kernel: AbstractKernel, leaves: Sequence[Any]) -> None:
    tensors = [t for t in leaves if isinstance(t, torch.Tensor)]
    if any(map(versions.tracked_for_gradient, tensors)) or versions.forward_mode(tensors):
        raise exc.TransformNotSupported(
            name=kernel.name, transform="torch.func.grad, vjp, jvp or the like",
            problem="a kernel has no derivative of its own",
            instead=f'make it an operator with one: {kernel.name}.as_op("lib::{kernel.name}", backward=...); '
            "in a backward that nobody differentiates again, call it under torch.no_grad()",
        )  # fmt: skip


def _refuse_writes(kernel: AbstractKernel, written: Sequence[torch.Tensor]) -> None:
    if written and (versions.functionalizing() or any(map(versions.batched, written))):
        transform = "torch.func.functionalize" if versions.functionalizing() else "torch.vmap"
        raise exc.TransformNotSupported(
            name=kernel.name, transform=transform, problem="it changes an argument in place",
            instead="return a new tensor instead, or loop over the batch inside the kernel",
        )  # fmt: skip
