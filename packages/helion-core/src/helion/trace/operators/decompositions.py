"""What an operator that we do not lower is made of: torch's decompositions, and those that TorchInductor prefers.

Inductor's take long to import, so that happens for the operators that it takes apart in a way of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch._decomp import decomposition_table
from torch._decomp.decompositions import pw_cast_for_opmath, pw_cast_for_opmath_non_tensor_args

from .registry import aten

# Elementwise operators of which Inductor has no body, either.
TAKEN_APART = frozenset({
    "celu", "clamp", "clip", "deg2rad", "elu", "float_power", "fmax", "fmin", "frac", "gelu", "gelu_backward",
    "hardshrink", "hardsigmoid", "hardtanh", "heaviside", "isfinite", "isneginf", "isposinf", "leaky_relu", "logaddexp",
    "logaddexp2", "logit", "mish", "nan_to_num", "positive", "rad2deg", "relu6", "rsub", "selu", "sgn",
    "sigmoid_backward", "silu", "silu_backward", "sinc", "softplus", "softshrink", "special_entr", "special_xlog1py",
    "tanh_backward", "threshold", "threshold_backward", "xlogy",
})  # fmt: skip
# Operators that are composed of others, but better by torch's decomposition.
_TORCHS = frozenset({
    "__iand__", "__ior__", "__ixor__", "_fused_rms_norm", "alpha_dropout", "dropout", "mish_backward",
    "native_batch_norm", "silu_backward",
})  # fmt: skip
# Operators that torch has decompositions of, where Inductor has others.
_INDUCTORS = frozenset({
    "_softmax_backward_data", "adaptive_max_pool2d", "add", "addcdiv", "addcmul", "addmm", "amax", "amin", "angle",
    "bucketize", "cat", "conj_physical", "embedding_dense_backward", "fmax", "fmin", "full", "grid_sampler_2d",
    "index_add", "lerp", "lift", "max_pool2d_with_indices", "max_pool3d_with_indices", "narrow_copy", "round",
    "view_copy",
})  # fmt: skip


@pw_cast_for_opmath_non_tensor_args
def _clamp(x: torch.Tensor, min: Any = None, max: Any = None) -> torch.Tensor:
    """In this order: where the bounds cross, the result is `max`."""
    if min is not None:
        x = x.clamp_min(min)
    return x if max is None else x.clamp_max(max)


@pw_cast_for_opmath
def _silu(x: torch.Tensor) -> torch.Tensor:
    """With one division, as eager has it; torch's decomposition multiplies with a sigmoid."""
    return x / (1 + x.neg().exp())


_OURS: dict[Any, Callable[..., Any]] = {
    aten.clamp.default: _clamp,
    aten.clamp.Tensor: _clamp,
    aten.silu.default: _silu,
}


def decomposition(func: Any) -> Callable[..., Any] | None:
    """A function of the arguments of `func`, which may return NotImplemented; None for `func.decompose`."""
    if func in _OURS:
        return _OURS[func]
    name = func.overloadpacket.__name__
    if name not in _TORCHS and func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
        return None
    found = decomposition_table.get(func)
    if found is None or name in _INDUCTORS:
        return _inductors().get(func) or found
    return found


@functools.cache
def _inductors() -> dict[Any, Callable[..., Any]]:
    from torch._inductor.decomposition import select_decomp_table

    return select_decomp_table()
