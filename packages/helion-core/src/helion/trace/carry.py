"""Values that a loop or branch carries.

They are trees of lists, tuples and dicts whose leaves are device values or Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from .. import exc, location
from ..frontend.control import Undefined
from . import shapes
from .symbols import is_symbolic
from .values import TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


@dataclass
class Carried:
    """Named values taken apart: `leaves[i]` belongs to the variable `owners[i]`."""

    names: Sequence[str]
    leaves: list[Any]
    owners: list[str]
    specs: list[TreeSpec]

    @classmethod
    def take_apart(cls, names: Sequence[str], values: Sequence[Any]) -> Carried:
        leaves: list[Any] = []
        owners: list[str] = []
        specs = []
        for name, value in zip(names, values, strict=True):
            found, spec = tree_flatten(value)
            leaves.extend(found)
            owners.extend([name] * len(found))
            specs.append(spec)
        return cls(names, leaves, owners, specs)

    def put_together(self, leaves: Sequence[Any]) -> list[Any]:
        """The values again, with new leaves; containers are fresh copies."""
        result, at = [], 0
        for spec in self.specs:
            result.append(tree_unflatten(list(leaves[at : at + spec.num_leaves]), spec))
            at += spec.num_leaves
        return result

    def leaves_of(self, values: Sequence[Any], where: location.Location | None) -> list[Any]:
        """The leaves of `values`, which must be built like these. Raises `ControlFlowTensorMismatch`."""
        after = Carried.take_apart(self.names, values)
        for name, old, new in zip(self.names, self.specs, after.specs, strict=True):
            if old != new:
                raise exc.ControlFlowTensorMismatch(
                    where="carried", name=name, before=f"{_shape_of(old)} before", after=f"{_shape_of(new)} after",
                    suggestion=": lists and dicts keep their number of elements and their keys", location=where,
                )  # fmt: skip
        return after.leaves


def write_back(original: Any, new: Any) -> Any:
    """`original`, a list or dict (or a tuple of them), changed in place to hold what `new` holds."""
    if isinstance(original, list):
        original[:] = [write_back(a, b) for a, b in zip(original, new, strict=True)]
        return original
    if isinstance(original, dict):
        for key in original:
            original[key] = write_back(original[key], new[key])
        return original
    return new


def _shape_of(spec: TreeSpec) -> str:
    """A container in words."""
    if spec.is_leaf():
        return "one value"
    if spec.type is dict:
        return f"a dict with the keys {spec.context}" if spec.context else "an empty dict"
    return f"a {spec.type.__name__} of {spec.num_children}"


def is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or is_symbolic(value)


def same(tracer: Tracer, a: Any, b: Any) -> bool:
    """Whether a leaf came through unchanged."""
    if a is b:
        return True
    if isinstance(a, TileTensor) and isinstance(b, TileTensor):
        return tracer.value(a) is tracer.value(b)
    if is_symbolic(a) and is_symbolic(b):
        return bool(a.node.expr == b.node.expr)
    if isinstance(a, (TileTensor, Undefined)) or isinstance(b, (TileTensor, Undefined)):
        return False
    if is_symbolic(a) or is_symbolic(b) or isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return False
    return type(a) is type(b) and _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # comparing foreign objects may raise anything; then they are not equal
        return False


def fits(number: Any, dtype: torch.dtype) -> bool:
    """Whether a device value of `dtype` may hold a Python number of that type."""
    if isinstance(number, (bool, torch.SymBool)):
        return True
    if isinstance(number, (int, torch.SymInt)):
        return dtype is not torch.bool
    return dtype.is_floating_point


def number_dtype(tracer: Tracer, *values: Any) -> torch.dtype:
    """The dtype of a device scalar that can stand for these Python numbers."""
    if all(isinstance(v, (bool, torch.SymBool)) for v in values):
        return torch.bool
    if any(isinstance(v, (float, torch.SymFloat)) for v in values):
        return torch.float32
    return torch.int64 if any(_may_be_long(tracer, v) for v in values) else torch.int32


def _may_be_long(tracer: Tracer, number: Any) -> bool:
    """Whether an int may need 64 bits."""
    if is_symbolic(number):
        return tracer.may_be_long(number.node.expr)
    return not -(2**31) <= number < 2**31


def mismatch(
    tracer: Tracer, where: str, name: str, before: Any, after: Any, place: location.Location | None
) -> exc.ControlFlowTensorMismatch:
    """The error for a variable that changes its type; suggests the cast where only the dtype differs."""
    suggestion = ", for example by starting with hl.full(shape, value, dtype)"
    if isinstance(before, TileTensor) and isinstance(after, TileTensor):
        suggestion = ""
        if before.value.shape == after.value.shape:
            suggestion = f", for example with {name} = {name}.to({before.value.dtype})"
    first, second = (" before", " after") if where == "loop-carried" else (" in one branch", " in the other")
    return exc.ControlFlowTensorMismatch(
        where=where, name=name, before=tracer.describe(before) + first, after=tracer.describe(after) + second,
        suggestion=suggestion, location=place,
    )  # fmt: skip


def agree(a: TileTensor, b: TileTensor) -> bool:
    """Whether two device values have the same dtype and shape."""
    x, y = a.value, b.value
    return x.dtype == y.dtype and len(x.dims) == len(y.dims) and all(map(shapes.same, x.shape, y.shape))
