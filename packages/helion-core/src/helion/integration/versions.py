"""What of torch is no public interface, or differs between its versions, in one place."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch._C import _functorch
from torch._C import _get_tracing_state as jit_tracer
from torch._C import _len_torch_dispatch_stack as active_modes
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling
from torch.utils._python_dispatch import _disable_current_modes

__all__ = ["active_modes", "forward_ad", "is_dynamo_compiling", "jit_tracer"]

after_version_counting = torch._C._after_ADInplaceOrView_keyset
active_transform = _functorch.peek_interpreter_stack
function_modes = torch._C._len_torch_function_stack  # a default device is one of them
deterministic = torch._C._get_deterministic_algorithms  # new memory may then be filled with NaN
_UNBACKED = 64  # what a size that depends on data is taken to be, where any number will do
_NO_DISPATCH = torch.Tensor.__torch_dispatch__


def looked_on() -> bool:
    """Whether a mode, a transform or a tracer of torch.jit is active: torch then looks at every operator."""
    return bool(active_modes()) or active_transform() is not None or jit_tracer() is not None


def dispatches(kind: type) -> bool:
    """Whether operators on tensors of this class are not run on memory but handed to the class."""
    return kind.__torch_dispatch__ is not _NO_DISPATCH  # type: ignore[attr-defined]


def is_fake(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, FakeTensor)


wrapped = _functorch.is_functorch_wrapped_tensor  # by a transform, which may be over


def alive(value: Any) -> Any:
    """`value`, without the wrapper of a transform that is over."""
    return _functorch.unwrap_if_dead(value) if isinstance(value, torch.Tensor) and wrapped(value) else value


def tracked_for_gradient(tensor: torch.Tensor) -> bool:
    """Whether torch.func.grad, vjp or the like follows what is computed from `tensor`."""
    if not torch.is_grad_enabled():
        return False
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_gradtrackingtensor(tensor) and tensor.requires_grad:
            return True
        tensor = _functorch.get_unwrapped(tensor)
    return False


def forward_mode(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether forward-mode differentiation follows what is computed from one of `tensors`."""
    active = active_transform()
    if active is not None and active.key() == _functorch.TransformType.Jvp:
        return any(map(_functorch.is_gradtrackingtensor, tensors))
    return forward_ad._current_level >= 0 and any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def batched(tensor: torch.Tensor) -> bool:
    """Whether torch.vmap hides a dimension of `tensor`."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_batchedtensor(tensor):
            return True
        tensor = _functorch.get_unwrapped(tensor)
    return False


def functionalizing() -> bool:
    """Whether the innermost transform is torch.func.functionalize."""
    active = active_transform()
    return active is not None and active.key() == _functorch.TransformType.Functionalize


@contextlib.contextmanager
def nothing_active() -> Iterator[None]:
    """No dispatch modes, transforms, autocast, gradients or inference mode: what is done here nobody records."""
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

    with (
        temporarily_clear_interpreter_stack(), _disable_current_modes(), torch.inference_mode(False), torch.no_grad(),
        torch._C._DisableAutocast(),
    ):  # fmt: skip
        yield


def without_autograd() -> Any:
    """A context in which operators skip autograd, as in the forward of an autograd.Function, only cheaper."""
    return torch._C._AutoDispatchBelowAutograd()


def fakes(shape_env: Any = None) -> FakeTensorMode:
    """A mode whose factories allocate nothing. Sizes may be symbols of `shape_env`."""
    return FakeTensorMode(shape_env=shape_env, allow_non_fake_inputs=True)


@contextlib.contextmanager
def beside_real_tensors(tensors: Iterable[Any]) -> Iterator[None]:
    """Has the modes of fake `tensors` take real ones, such as globals of the user's, for fakes of the same form."""
    modes = {id(t.fake_mode): t.fake_mode for t in tensors if isinstance(t, FakeTensor)}.values()
    before = [(mode, mode.allow_non_fake_inputs) for mode in modes]
    try:
        for mode in modes:
            mode.allow_non_fake_inputs = True
        yield
    finally:
        for mode, allowed in before:
            mode.allow_non_fake_inputs = allowed


@functools.cache
def empty_strided(device_type: str) -> Callable[..., torch.Tensor] | None:
    """The function (sizes, strides, dtype) with which Inductor's code allocates on the current device, past all modes
    and without filling. None where torch has none like it.
    """
    found = getattr(getattr(torch._C._dynamo, "guards", None), f"_empty_strided_{device_type}", None)
    try:
        x = found((2, 3), (1, 2), torch.int8) if found is not None else None
    except (TypeError, RuntimeError):
        return None
    right = x is not None and (x.shape, x.stride(), x.dtype, x.device.type) == ((2, 3), (1, 2), torch.int8, device_type)
    return found if right else None


def shape_env_of(number: Any) -> Any:
    """Where the symbols of a symbolic number live."""
    return number.node.shape_env


def hint(number: Any) -> Any:
    """A plain number that a symbolic one may have, without guarding on it; other values as they are."""
    if not isinstance(number, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return number
    node = number.node
    if node.has_hint():
        known = node.hint
        return hint(known)
    env = node.shape_env
    backed = env.backed_var_to_val if hasattr(env, "backed_var_to_val") else env.var_to_val
    expr = node.expr.xreplace(backed)
    value = expr.xreplace(dict.fromkeys(expr.free_symbols, _UNBACKED))
    return {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}[type(number)](value)


def is_written(argument: Any) -> bool:
    """Whether a schema says of `argument` that the operator changes it."""
    return argument.alias_info is not None and argument.alias_info.is_write


def storage_of(tensor: torch.Tensor) -> int:
    """Equal for tensors that share memory, while they live."""
    return tensor.untyped_storage()._cdata


def capturing() -> bool:
    """Whether the current stream of the current device is being captured into a CUDA graph."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
