"""Runs a jitted kernel on CPU tensors through Triton's interpreter, with its known faults mended.

Triton decides at import whether functions are interpreted; here any jitted function is, for the duration of one launch. Mended
for that time: nested jitted functions, libdevice (which returns None), bfloat16 in dots and conversions (which work on raw
bits), reductions with our combine functions (which would loop over elements in Python), and triton.language itself (which
nested calls leave patched, so that nothing could be compiled afterwards).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton import knobs
from triton.runtime import interpreter as triton_interpreter
from triton.runtime.interpreter import InterpretedFunction, ReduceOps, TensorHandle
from triton.runtime.jit import JITFunction

_lock = threading.RLock()  # the interpreter patches triton.language, which all threads share


def run(kernel: JITFunction[Any], grid: tuple[int, ...], args: tuple[Any, ...]) -> None:
    """Launches `kernel` over `grid` on CPU tensors. Triton options such as num_warps have no meaning here."""
    if 0 in grid:
        return
    function = _interpreted(kernel)
    with _lock, _mended():
        shim = kernel.fn.__globals__.get("libdevice")
        if shim is not None and not isinstance(shim, Libdevice):
            kernel.fn.__globals__["libdevice"] = Libdevice()
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
def _mended() -> Iterator[None]:
    builder = triton_interpreter.interpreter_builder
    with ExitStack() as stack:
        stack.enter_context(_patched_language())
        stack.enter_context(_replaced(JITFunction, "__call__", _call_nested))
        stack.enter_context(_replaced(knobs.runtime, "interpret", True))
        stack.enter_context(_replaced(ReduceOps, "apply_impl", _reduce(ReduceOps.apply_impl)))
        stack.enter_context(_replaced(builder, "create_dot", _dot(builder.create_dot)))
        stack.enter_context(_replaced(builder, "create_fp_trunc", _round_bfloat16(builder.create_fp_trunc)))
        stack.enter_context(np.errstate(all="ignore"))
        yield


def _call_nested(kernel: JITFunction[Any], *args: Any, **kwargs: Any) -> Any:
    """A call of a jitted function by another; the interpreter's own would patch triton.language once more."""
    return _interpreted(kernel).rewrite()(*args, **kwargs)


_LANGUAGE: tuple[Any, ...] = (tl, tl.core, tl.math, tl.core.tensor, tl.core.tensor_descriptor_base)


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


# --- bfloat16: numpy has none, so the interpreter keeps its bits in uint16


def _is_bfloat16(handle: TensorHandle) -> bool:
    return handle.get_element_ty() == tl.bfloat16


def _to_float32(handle: TensorHandle) -> TensorHandle:
    if not _is_bfloat16(handle):
        return handle
    bits = handle.data.astype(np.uint32) << 16
    return TensorHandle(bits.view(np.float32), tl.float32)


def _dot(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_dot(a: TensorHandle, b: TensorHandle, d: TensorHandle, *rest: Any, **options: Any) -> Any:
        return original(_to_float32(a), _to_float32(b), d, *rest, **options)

    return create_dot


def _round_bfloat16(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_fp_trunc(source: TensorHandle, target: Any, *rest: Any) -> Any:
        if getattr(target, "scalar", target) != tl.bfloat16 or source.data.dtype not in (np.float32, np.float64):
            return original(source, target, *rest)
        rounded = torch.from_numpy(np.ascontiguousarray(source.data)).to(torch.bfloat16)
        return TensorHandle(rounded.view(torch.int16).numpy().view(np.uint16).reshape(source.data.shape), tl.bfloat16)

    return create_fp_trunc


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
            at = np.expand_dims(find(values, axis=self.axis), self.axis)
            taken = [np.take_along_axis(t.handle.data, at, self.axis).squeeze(self.axis) for t in inputs]
            return tuple(self.to_tensor(t, i.dtype) for t, i in zip(taken, inputs, strict=True))
        return original(self, inputs)

    return apply_impl


# --- libdevice


class Libdevice:
    """Functions of NVIDIA's libdevice on the interpreter's tensors, through torch."""

    _NAMES = {"isnan": "isnan", "isinf": "isinf", "nearbyint": "round", "rint": "round", "llrint": "round",
              "fast_expf": "exp", "fast_logf": "log", "finitef": "isfinite", "isfinited": "isfinite",
              "cyl_bessel_i0": "i0", "cyl_bessel_i1": "i1", "j0": "bessel_j0", "j1": "bessel_j1", "y0": "bessel_y0",
              "y1": "bessel_y1", "pow": "pow", "fmod": "fmod", "erfinv": "erfinv", "normcdfinv": "ndtri",
              "normcdf": "ndtr"}  # fmt: skip

    def __getattr__(self, name: str) -> Callable[..., Any]:
        wanted = self._NAMES.get(name, name)
        function = getattr(torch, wanted, None) or getattr(torch.special, wanted, None)
        if function is None:
            raise NotImplementedError(f"libdevice.{name} has no counterpart for the interpreter")
        return lambda *args: _elementwise(function, args)


def _elementwise(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    first = next(a for a in args if isinstance(a, tl.tensor))
    operands = []
    for a in args:
        data = a.handle.data if isinstance(a, tl.tensor) else np.asarray(getattr(a, "value", a), dtype=first.handle.data.dtype)
        operands.append(torch.from_numpy(np.ascontiguousarray(data)))
    result = function(*operands).numpy()
    dtype = tl.int32 if result.dtype == np.bool_ else _TRITON[result.dtype.name]
    result = result.astype(np.int32) if result.dtype == np.bool_ else result
    shape = list(np.broadcast_shapes(*(o.shape for o in operands)))
    scalar = not first.type.is_block() and not any(isinstance(a, tl.tensor) and a.type.is_block() for a in args)
    return tl.tensor(TensorHandle(result.reshape(shape), dtype), dtype if scalar else tl.block_type(dtype, shape))


_TRITON = {"float32": tl.float32, "float64": tl.float64, "float16": tl.float16, "int32": tl.int32, "int64": tl.int64}
