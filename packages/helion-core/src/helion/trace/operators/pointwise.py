"""Elementwise operators: shapes broadcast, the dtype is what eager gives, the text comes from Inductor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_iter

from ... import exc, ir, location
from ...exactly import exactly_cached
from ...ir import Slot, Value
from ...lower.pointwise import template
from .. import shapes
from ..symbols import is_symbolic
from ..values import TileTensor
from .registry import aten, handles, prims

if TYPE_CHECKING:
    from ..tracer import Tracer


@exactly_cached
def result_dtype(func: Any, inputs: tuple[tuple[torch.dtype, bool], ...], args: Any, kwargs: Any) -> torch.dtype:
    """What dtype eager gives, by running the operator on meta tensors of the same dtypes and rank classes."""

    def stand_in(a: Any) -> Any:
        if isinstance(a, Slot):
            dtype, has_dims = inputs[a.index]
            return torch.empty([2] if has_dims else [], dtype=dtype, device="meta")
        return tuple(map(stand_in, a)) if isinstance(a, tuple) else _WEAK.get(a, a) if isinstance(a, _Weak) else a

    with _disable_current_modes(), torch.no_grad():
        return func(*stand_in(args), **{k: stand_in(v) for k, v in kwargs}).dtype


class _Weak(str):
    """Stands for a symbolic Python number of a type; such numbers do not promote."""


_WEAK: dict[_Weak, Any] = {_Weak("int"): 1, _Weak("float"): 1.5, _Weak("bool"): True}


def apply(tracer: Tracer, func: Any, args: Any, kwargs: Any) -> TileTensor:
    """Records `func(*args, **kwargs)`. Raises `Unsupported` where it has no elementwise body."""
    values: list[Value] = []
    weak: dict[int, _Weak] = {}
    numbers: dict[Value, Any] = {}
    double = any(isinstance(a, TileTensor) and a.dtype is torch.float64 for a in tree_iter((args, kwargs)))

    def convert(a: Any) -> Any:
        if isinstance(a, TileTensor):
            values.append(tracer.value(a))
            return Slot(len(values) - 1)
        if is_symbolic(a):
            kind = {torch.SymInt: "int", torch.SymFloat: "float", torch.SymBool: "bool"}[type(a)]
            values.append(tracer.value(tracer.number(a, double)))
            weak[len(values) - 1] = _Weak(kind)
            numbers[values[-1]] = a
            return Slot(len(values) - 1)
        return tuple(map(convert, a)) if isinstance(a, (list, tuple)) else a

    converted = tuple(map(convert, args))
    options = tuple((k, convert(v)) for k, v in kwargs.items())
    name = func.overloadpacket.__name__
    values = _beside_long_scalars(tracer, values, numbers, name in _COMPARISONS)
    inputs = tuple((v.dtype, bool(v.dims)) for v in values)

    def weaken(a: Any) -> Any:
        if isinstance(a, Slot):
            return weak.get(a.index, a)
        return tuple(map(weaken, a)) if type(a) is tuple else a

    dims = shapes.broadcast(name, [v.dims for v in values], tracer.show_size)
    dtype = _dtype(name, func, inputs, weaken(converted), tuple((k, weaken(v)) for k, v in options))
    text = template(func, inputs, converted, options, dtype)
    op = ir.Pointwise(target=func, args=converted, kwargs=options, template=text, inputs=tuple(values))
    return tracer.emit(op, dims, dtype)


def _dtype(name: str, func: Any, inputs: tuple[tuple[torch.dtype, bool], ...], args: Any, options: Any) -> torch.dtype:
    """`result_dtype`. Raises `DtypeMismatch` where eager has none, or one that device values cannot have."""
    try:
        dtype = result_dtype(func, inputs, args, options)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise exc.DtypeMismatch(
            op=name, problem=str(error).split("\n")[0], instead="convert the operands with .to(dtype) first",
            location=location.here(),
        ) from None  # fmt: skip
    if name.startswith("bitwise_") and dtype.is_floating_point:
        raise exc.DtypeMismatch(
            op=name, problem=f"an operand is {dtype}",
            instead="use integers or bools; x.view(torch.int32) gives the bits",
            location=location.here(),
        )  # fmt: skip
    if dtype.is_complex:
        raise exc.DtypeMismatch(
            op=name, problem=f"the result is {dtype}", instead="compute on real and imaginary parts"
        )
    return dtype


_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
_NARROW = (torch.int32, torch.int16, torch.int8, torch.uint8)


def _beside_long_scalars(
    tracer: Tracer, values: list[Value], numbers: dict[Value, Any], comparing: bool
) -> list[Value]:  # fmt: skip
    """`values` with those of narrow integers in 64 bits where a scalar beside them may need as many; `numbers`: those
    values that stand for a symbolic number.

    torch takes 0-d tensors to the dtype of the others, which would compare what is left of a label of 64 bits, or add
    it to an index. The result of a comparison is a bool either way; of others, those with indices of tiles become
    int64, because that indices have 32 bits is our choice and not the author's. A number of the caller's is compared
    as wide as a launch passes it, which leaves masks at 32 bits where it fits.
    """
    narrow = {v for v in values if v.dims and v.dtype in _NARROW and (comparing or v in tracer.indices)}
    scalars = [v for v in values if not v.dims and v.dtype is torch.int64] if narrow else []
    changed: dict[Value, Value] = {}
    if comparing and {v.dtype for v in narrow} == {torch.int32}:
        for v in scalars:
            number = tracer.caller_number(numbers[v]) if v in numbers else None
            if number is not None:
                changed[v] = tracer.value(number)
    if any(v not in changed and (comparing or _is_wide(tracer, numbers.get(v))) for v in scalars):
        changed |= {v: tracer.value(cast(tracer, tracer.wrap(v), torch.int64)) for v in narrow}
    return [changed.get(v, v) for v in values]


def _is_wide(tracer: Tracer, number: Any) -> bool:
    """Whether a 0-d int64 is made of 64-bit values of the device: data (None), or a `number` computed from such."""
    return number is None or ir.is_wide(number.node.expr, tracer.symbols)


def cast(tracer: Tracer, x: TileTensor, dtype: torch.dtype) -> TileTensor:
    """`x.to(dtype)`."""
    value = tracer.value(x)
    if value.dtype == dtype:
        return x
    return tracer.emit(ir.Cast(inputs=(value,)), value.dims, dtype, "")


@handles(prims.convert_element_type.default)
def _convert_element_type(tracer: Tracer, x: TileTensor, dtype: torch.dtype) -> TileTensor:
    return cast(tracer, x, dtype)


@handles(aten._to_copy.default)
def _to_copy(tracer: Tracer, x: TileTensor, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return cast(tracer, x, dtype or x.dtype)


@handles(aten.clone.default, aten.contiguous.default, aten.detach.default, aten.alias.default, aten.lift_fresh.default)
def _same(tracer: Tracer, x: TileTensor, **_: Any) -> TileTensor:
    return tracer.wrap(tracer.value(x))


@handles(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def _masked_fill(tracer: Tracer, x: TileTensor, mask: TileTensor, value: Any) -> Any:
    if not isinstance(value, TileTensor):
        value = tracer.full((), value, x.dtype)
    return apply(tracer, aten.where.self, (mask, value.to(x.dtype), x), {})


@handles(aten.rrelu_with_noise.default, aten.rrelu.default)
def _rrelu(
    tracer: Tracer,
    x: TileTensor,
    *rest: Any,
    lower: float = 0.125,
    upper: float = 1 / 3,
    training: bool = False,
    **_: Any,
) -> Any:
    """Outside training, a leaky ReLU with the mean slope."""
    numbers = [r for r in rest if isinstance(r, (int, float)) and not isinstance(r, bool)]
    lower, upper = numbers if len(numbers) == 2 else (lower, upper)
    if training or any(r is True for r in rest):
        raise exc.UnsupportedOperation(
            op="rrelu in training", reason="", location=location.here(),
            instead="draw slopes with torch.rand_like(x) and choose with torch.where",
        )  # fmt: skip
    return torch.where(x < 0, x * ((lower + upper) / 2), x)


@handles(aten.lerp.Scalar, aten.lerp.Tensor)
def _lerp(tracer: Tracer, start: TileTensor, end: TileTensor, weight: Any) -> Any:
    """start + weight * (end - start), from the nearer end (so that both ends are exact), in float32 for half
    precision.
    """
    half = start.dtype in (torch.float16, torch.bfloat16)
    a, b = (cast(tracer, t, torch.float32) if half else t for t in (start, end))
    span = b - a
    if not isinstance(weight, TileTensor):
        result = a + weight * span if abs(weight) < 0.5 else b - span * (1 - weight)
    else:
        w = cast(tracer, weight, torch.float32) if half else weight
        result = torch.where(w.abs() < 0.5, a + w * span, b - span * (1 - w))
    return cast(tracer, result, start.dtype)
