"""Runs a jitted kernel on CPU tensors through Triton's interpreter, with its known faults mended.

Triton decides at import whether functions are interpreted; here any jitted function is, for the duration of one
launch. Mended for that time: nested jitted functions, libdevice (which returns None), bfloat16 in dots and
conversions (which work on raw bits), loops up to a number of the device (which Triton 3.6 does not convert for NumPy
2.4), reductions with our combine functions (which would loop over elements in Python), and triton.language itself
(which nested calls leave patched, so that nothing could be compiled afterwards).
"""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
import triton.language as tl
from triton import knobs
from triton.runtime import interpreter as triton_interpreter
from triton.runtime.interpreter import InterpretedFunction, ReduceOps, ScanOps, TensorHandle
from triton.runtime.jit import JITFunction

from ..locks import LANGUAGE
from ..syntax import CONVERTING
from .bounds import Spans, checked


def run(kernel: JITFunction[Any], grid: tuple[int, ...], args: tuple[Any, ...], spans: Spans | None = None) -> None:
    """Launches `kernel` over `grid` on CPU tensors. Triton options such as num_warps have no meaning here.

    Raises Triton's `InterpreterError`; its cause is `OutsideOfTensors` where the kernel leaves `spans`.
    """
    if 0 in grid:
        return
    function = _interpreted(kernel)
    with LANGUAGE.alone(), _mended():
        shim = kernel.fn.__globals__.get("libdevice")
        if shim is not None and not isinstance(shim, Libdevice):
            kernel.fn.__globals__["libdevice"] = Libdevice()
        _rewritten(function)
        builder = triton_interpreter.interpreter_builder
        with nullcontext() if spans is None else checked(builder, spans):
            function[grid](*args)


_cache: dict[int, tuple[Any, InterpretedFunction[Any]]] = {}


def _interpreted(kernel: JITFunction[Any]) -> InterpretedFunction[Any]:
    found = _cache.get(id(kernel))
    if found is None:
        found = _cache[id(kernel)] = (kernel, InterpretedFunction(kernel.fn))
    return found[1]


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextmanager
def _added(owner: Any, name: str, value: Any) -> Iterator[None]:
    """As `_replaced`, for what may not be there yet."""
    missing = name not in vars(owner)
    old = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name) if missing else setattr(owner, name, old)


@contextmanager
def _mended() -> Iterator[None]:
    builder = triton_interpreter.interpreter_builder
    with ExitStack() as stack:
        patch = _scalars_are_indices(triton_interpreter._patch_lang_tensor)
        stack.enter_context(_replaced(triton_interpreter, "_patch_lang_tensor", patch))
        stack.enter_context(_patched_language())
        stack.enter_context(_replaced(JITFunction, "__call__", _call_nested))
        stack.enter_context(_replaced(knobs.runtime, "interpret", True))
        stack.enter_context(_replaced(ReduceOps, "apply_impl", _reduce(ReduceOps.apply_impl)))
        stack.enter_context(_replaced(ScanOps, "generic_scan", _scan))
        options = dataclasses.replace(builder.options, debug=True, sanitize_overflow=False)  # asserts; ints wrap around
        stack.enter_context(_replaced(builder, "options", options))
        stack.enter_context(_replaced(builder, "create_dot", _dot(builder.create_dot)))
        stack.enter_context(_replaced(builder, "create_splat", _splat))
        for name in ("create_fp_trunc", "create_fp_ext", "create_fp_to_fp", "create_si_to_fp", "create_ui_to_fp"):
            stack.enter_context(_replaced(builder, name, _convert))
        stack.enter_context(_added(builder, "get_bf16", _bfloat16_constant))
        stack.enter_context(_replaced(builder, "get_all_ones_value", _all_ones))
        stack.enter_context(_replaced(builder, "create_atomic_rmw", _atomic_bits(builder.create_atomic_rmw)))
        stack.enter_context(_added(tl.core, "dot_scaled", _dot_scaled))
        stack.enter_context(_added(tl, "dot_scaled", _dot_scaled))
        stack.enter_context(np.errstate(all="ignore"))
        yield


def _call_nested(kernel: JITFunction[Any], *args: Any, **kwargs: Any) -> Any:
    """A call of a jitted function by another; the interpreter's own would patch triton.language once more."""
    return _rewritten(_interpreted(kernel))(*args, **kwargs)


def _rewritten(function: InterpretedFunction[Any]) -> Callable[..., Any]:
    """What the interpreter makes of a function; it keeps that."""
    with CONVERTING:
        return function.rewrite()


_LANGUAGE: tuple[Any, ...] = (tl, tl.core, tl.math, tl.core.dtype, tl.core.tensor, tl.core.tensor_descriptor_base)


def _scalars_are_indices(patch: Callable[..., None]) -> Callable[..., None]:
    """Numbers of the device as those of Python; Triton 3.6 leaves that to NumPy, which from 2.4 on refuses it."""

    def patch_tensor(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    return patch_tensor


@contextmanager
def _patched_language() -> Iterator[None]:
    """triton.language as nested functions must see it, and as it was before behind it."""
    saved = [dict(vars(owner)) for owner in _LANGUAGE]
    try:
        triton_interpreter._patch_lang(SimpleNamespace(__globals__={"core": tl.core}))
        yield
    finally:
        for owner, before in zip(_LANGUAGE, saved, strict=True):
            for name, value in dict(vars(owner)).items():
                if name not in before:
                    delattr(owner, name)
                elif value is not before[name]:
                    setattr(owner, name, before[name])


def _splat(result: Any, scalar: TensorHandle) -> TensorHandle:
    """A scalar repeated. Comparisons bear the type of their operands, but hold bools, which are to stay bools."""
    data = np.asarray(scalar.data)
    return TensorHandle(np.full(result.shape, data.reshape(-1)[0], dtype=data.dtype), scalar.dtype.scalar)


# --- floats that numpy lacks: the interpreter keeps the bits of bfloat16 in uint16 and those of float8 in uint8

_TORCH = {
    tl.float64: torch.float64, tl.float32: torch.float32, tl.float16: torch.float16, tl.bfloat16: torch.bfloat16,
    tl.float8e4nv: torch.float8_e4m3fn, tl.float8e5: torch.float8_e5m2,
}  # fmt: skip


def _tensor(handle: TensorHandle) -> torch.Tensor:
    """The data of a handle as a tensor of its own dtype."""
    data = torch.from_numpy(np.ascontiguousarray(handle.data))
    kind = handle.get_element_ty()
    return data.view(_TORCH[kind]) if kind in _NARROW else data


def _handle(tensor: torch.Tensor, dtype: Any) -> TensorHandle:
    bits = {torch.bfloat16: torch.int16, torch.float8_e4m3fn: torch.uint8, torch.float8_e5m2: torch.uint8}.get(
        tensor.dtype
    )
    data = tensor.numpy() if bits is None else tensor.view(bits).numpy()
    return TensorHandle(data.view(np.uint16) if tensor.dtype is torch.bfloat16 else data, dtype)


def _convert(source: TensorHandle, target: Any, *_: Any) -> TensorHandle:
    """Every conversion to a float type, rounded to nearest."""
    dtype = getattr(target, "scalar", target)
    wide = _tensor(source)
    if wide.is_floating_point() and wide.dtype.itemsize == 1:
        wide = wide.float()
    return _handle(wide.to(_TORCH[dtype]), dtype)


def _bfloat16_constant(value: float) -> TensorHandle:
    return _handle(torch.tensor([value], dtype=torch.bfloat16), tl.bfloat16)


def _all_ones(kind: Any) -> TensorHandle:
    """All bits set, also in unsigned types."""
    dtype = triton_interpreter._get_np_dtype(kind)
    return TensorHandle(~np.zeros(1, dtype=dtype), kind.scalar)


def _dot(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_dot(a: TensorHandle, b: TensorHandle, d: TensorHandle, *rest: Any, **options: Any) -> Any:
        a, b = (_convert(h, tl.float32) if h.get_element_ty() in _NARROW else h for h in (a, b))
        return original(a, b, d, *rest, **options)

    return create_dot


_NARROW = (tl.bfloat16, tl.float8e4nv, tl.float8e5)


def _atomic_bits(original: Callable[..., Any]) -> Callable[..., Any]:
    """Exchanging floats is exchanging their bits, which is all that the interpreter can exchange; and it takes
    bfloat16 for no number.
    """

    def create_atomic_rmw(kind: Any, pointer: Any, value: TensorHandle, mask: Any, *rest: Any) -> Any:
        if value.get_element_ty() is tl.bfloat16 and kind == triton_interpreter._ir.ATOMIC_OP.FADD:
            return _added_bfloat16(pointer, value, mask)
        rest = (mask, *rest)
        if kind != triton_interpreter._ir.ATOMIC_OP.XCHG or value.data.dtype.kind != "f":
            return original(kind, pointer, value, *rest)
        bits = TensorHandle(value.data.view(f"u{value.data.itemsize}"), value.dtype)
        result = original(kind, pointer, bits, *rest)
        return TensorHandle(np.asarray(result.data).view(value.data.dtype), value.dtype)

    return create_atomic_rmw


def _added_bfloat16(pointer: TensorHandle, value: TensorHandle, mask: TensorHandle) -> TensorHandle:
    """Adds one lane after the other to what lies at `pointer`; returns what was there."""
    previous = np.zeros_like(value.data)
    numbers = _tensor(value)
    for lane in np.ndindex(previous.shape):
        if mask.data[lane]:
            place = np.ctypeslib.as_array(ctypes.c_uint16.from_address(int(pointer.data[lane])))
            previous[lane] = place
            torch.from_numpy(place).view(torch.bfloat16).add_(numbers[lane])
    return TensorHandle(previous, value.dtype)


# --- products of block-scaled operands

_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)


def _unscaled(x: Any, scale: Any, kind: str, axis: int) -> np.ndarray[Any, Any]:
    """An operand as float32: unpacked along `axis` (its depth) and multiplied by its scales, which are [other,
    depth / 32].
    """
    if kind == "e2m1":
        low, high = _E2M1[x.handle.data & 15], _E2M1[x.handle.data >> 4]
        shape = list(low.shape)
        shape[axis] *= 2
        values = np.stack([low, high], axis=axis + 1).reshape(shape)
    else:
        dtype = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}.get(kind)
        data = torch.from_numpy(np.ascontiguousarray(x.handle.data))
        values = (data.view(dtype) if dtype is not None else _tensor(x.handle)).float().numpy()
    if scale is None:
        return values
    factors = np.exp2(scale.handle.data.astype(np.float32) - 127).repeat(32, axis=1)
    return values * (factors if axis == 1 else factors.T)


def _dot_scaled(
    lhs: Any,
    lhs_scale: Any,
    lhs_format: Any,
    rhs: Any,
    rhs_scale: Any,
    rhs_format: Any,
    acc: Any = None,
    *_: Any,
    **__: Any,
) -> Any:
    left_kind, right_kind = (getattr(f, "value", f) for f in (lhs_format, rhs_format))
    left, right = _unscaled(lhs, lhs_scale, left_kind, 1), _unscaled(rhs, rhs_scale, right_kind, 0)
    result = left @ right + (0 if acc is None else acc.handle.data)
    return tl.tensor(TensorHandle(result.astype(np.float32), tl.float32), tl.block_type(tl.float32, list(result.shape)))


# --- reductions with the combine functions of emit.operations

_NUMPY = {"_max": np.max, "_min": np.min, "_prod": np.prod}


def _reduce(original: Callable[..., Any]) -> Callable[..., Any]:
    def apply_impl(self: Any, inputs: tuple[Any, ...]) -> Any:
        name = getattr(self.combine_fn, "__name__", "")
        values = inputs[0].handle.data
        if name in _NUMPY:
            return self.to_tensor(_NUMPY[name](values, axis=self.axis, keepdims=self.keep_dims), inputs[0].dtype)
        if name in ("_argmax", "_argmin"):
            find = np.argmax if name == "_argmax" else np.argmin
            best = np.take_along_axis(values, np.expand_dims(find(values, axis=self.axis), self.axis), self.axis)
            ties = (values == best) | ((values != values) & (best != best))
            positions = inputs[1].handle.data  # not in order where lanes have been folded
            first = np.where(ties, positions, np.iinfo(positions.dtype).max).min(axis=self.axis)
            taken = best.squeeze(self.axis), first
            return tuple(self.to_tensor(t, i.dtype) for t, i in zip(taken, inputs, strict=True))
        if self.axis is None or self.combine_fn.__module__.startswith("triton."):
            return original(self, inputs)
        return _pairwise(self, inputs)

    return apply_impl


def _wrapped(arrays: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    return [
        tl.tensor(TensorHandle(a, t.dtype.scalar), tl.block_type(t.dtype.scalar, list(a.shape)))
        for a, t in zip(arrays, like, strict=True)
    ]


def _combined(self: Any, left: Sequence[Any], right: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    """The combine function on whole arrays."""
    result = self.combine_fn(*_wrapped(left, like), *_wrapped(right, like))
    shape = left[0].shape
    return [np.broadcast_to(r.handle.data, shape) for r in (result if isinstance(result, tuple) else (result,))]


def _pairwise(self: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A reduction by neighbours, log2(n) calls of the combine function instead of n per element."""
    arrays = [np.moveaxis(t.handle.data, self.axis, 0) for t in inputs]
    while arrays[0].shape[0] > 1:
        arrays = _combined(self, [a[0::2] for a in arrays], [a[1::2] for a in arrays], inputs)
    results = [a[0] if not self.keep_dims else np.moveaxis(a, 0, self.axis) for a in arrays]
    return tuple(self.to_tensor(a, t.dtype.scalar) for a, t in zip(results, inputs, strict=True))


def _scan(self: Any, inputs: Sequence[Any]) -> list[Any]:
    """Running results by doubling steps (Hillis and Steele, 1986)."""
    arrays = [np.moveaxis(t.handle.data, self.axis, 0) for t in inputs]
    count = arrays[0].shape[0]
    positions = np.arange(count).reshape(-1, *[1] * (arrays[0].ndim - 1))
    step = 1
    while step < count:
        joined = _combined(self, [np.roll(a, step, 0) for a in arrays], arrays, inputs)
        arrays = [np.where(positions >= step, j, a) for a, j in zip(arrays, joined, strict=True)]
        step *= 2
    return [self.to_tensor(np.moveaxis(a, 0, self.axis), t.dtype.scalar) for a, t in zip(arrays, inputs, strict=True)]


# --- libdevice


class Libdevice:
    """Functions of NVIDIA's libdevice on the interpreter's tensors, through torch."""

    _NAMES: ClassVar[dict[str, str]] = {
        "isnan": "isnan", "isinf": "isinf", "nearbyint": "round", "rint": "round", "llrint": "round",
        "fast_expf": "exp", "fast_logf": "log", "finitef": "isfinite", "isfinited": "isfinite", "cyl_bessel_i0": "i0",
        "cyl_bessel_i1": "i1", "j0": "bessel_j0", "j1": "bessel_j1", "y0": "bessel_y0", "y1": "bessel_y1",
        "pow": "pow", "fmod": "fmod", "erfinv": "erfinv", "normcdfinv": "ndtri", "normcdf": "ndtr",
    }  # fmt: skip

    def __getattr__(self, name: str) -> Callable[..., Any]:
        wanted = self._NAMES.get(name, name)
        function = getattr(torch, wanted, None) or getattr(torch.special, wanted, None)
        if function is None:
            raise NotImplementedError(f"libdevice.{name} has no counterpart for the interpreter")
        return lambda *args: _elementwise(function, args)


def _elementwise(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    tensors: list[Any] = [a for a in args if isinstance(a, tl.tensor)]
    first = tensors[0]
    operands = []
    for a in args:
        data = (
            a.handle.data
            if isinstance(a, tl.tensor)
            else np.asarray(getattr(a, "value", a), dtype=first.handle.data.dtype)
        )
        operands.append(torch.from_numpy(np.ascontiguousarray(data)))
    result = function(*operands).numpy()
    dtype = tl.int32 if result.dtype == np.bool_ else _TRITON[result.dtype.name]
    result = result.astype(np.int32) if result.dtype == np.bool_ else result
    shape = list(np.broadcast_shapes(*(o.shape for o in operands)))
    scalar = not any(t.type.is_block() for t in tensors)
    return tl.tensor(TensorHandle(result.reshape(shape), dtype), dtype if scalar else tl.block_type(dtype, shape))


_TRITON = {"float32": tl.float32, "float64": tl.float64, "float16": tl.float16, "int32": tl.int32, "int64": tl.int64}
