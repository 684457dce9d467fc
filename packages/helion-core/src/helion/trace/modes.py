"""The two torch modes of device code: one sees functions (subscripts, sizes, matmul), one sees every aten operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

from .. import exc, location
from . import host_tensors, indexing, subscripts
from .fakes import not_compiled
from .operators import dispatch, functions
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer

_TENSOR: Any = torch.Tensor  # its attributes are getset descriptors, of which its annotations say nothing
_METADATA = {
    _TENSOR.shape.__get__, _TENSOR.dtype.__get__, _TENSOR.device.__get__, _TENSOR.ndim.__get__, _TENSOR.size,
    _TENSOR.dim, _TENSOR.stride, _TENSOR.numel, _TENSOR.element_size, _TENSOR.is_floating_point, _TENSOR.layout.__get__,
    _TENSOR.requires_grad.__get__, _TENSOR.is_contiguous, _TENSOR.grad_fn.__get__, _TENSOR.is_complex,
}  # fmt: skip


@contextmanager
def device_modes(tracer: Tracer) -> Iterator[None]:
    """Everything a tile loop body runs under."""
    with torch.no_grad(), DispatchMode(tracer), FunctionMode(tracer):
        yield


class FunctionMode(TorchFunctionMode):
    """Handles what must be seen before torch takes it apart, and turns tiles into the sizes they stand for."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _METADATA:
            return _metadata(func, args, kwargs)
        tracer = self.tracer
        if func is _TENSOR.__getitem__:
            return subscripts.getitem(tracer, *args)
        if func is _TENSOR.__setitem__:
            return subscripts.setitem(tracer, *args)
        handler = functions.HANDLERS.get(func)
        handled = NotImplemented if handler is None else handler(tracer, *args, **kwargs)
        if handled is not NotImplemented:
            return handled
        if any(isinstance(a, Tile) for a in tree_iter((args, kwargs))):
            shifted = functions.tile_arithmetic(tracer, func, args)
            if shifted is not None:
                return shifted
            args, kwargs = tree_map_only(Tile, lambda tile: tile.block_size, (args, kwargs))
        if kwargs.get("out") is not None:
            raise exc.UnsupportedOperation(
                op=f"`out=` of torch.{getattr(func, '__name__', func)}", reason="",
                instead="store the result instead: `out[tile] = ...`",
            )  # fmt: skip
        args, kwargs = tree_map_only(_TENSOR, self._host, (args, kwargs))
        with tracer.env.lenient():
            try:
                return func(*args, **kwargs)
            except exc.Base:
                raise
            except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
                name = getattr(func, "__name__", str(func)).strip("_")
                reason = str(error).split("\n")[0]
                raise exc.TracingFailed(op=name, reason=reason, location=location.here()) from error

    def _host(self, tensor: torch.Tensor) -> torch.Tensor:
        """A real tensor (a global, say) as the fake one that stands for it."""
        if isinstance(tensor, (TileTensor, FakeTensor)):
            return tensor
        return host_tensors.fake_of(self.tracer, tensor)


def _metadata(func: Any, args: Any, kwargs: Any) -> Any:
    if func is _TENSOR.stride and isinstance(args[0], TileTensor):
        raise exc.UnsupportedOperation(
            op="`.stride()` of a device value",
            reason="",
            instead="take the strides of the host tensor that it was loaded from",
        )
    try:
        return func(*args, **kwargs)
    except (IndexError, TypeError) as error:
        raise exc.TracingFailed(op=f"`.{func.__name__.strip('_')}`", reason=str(error)) from error


class DispatchMode(TorchDispatchMode):
    """Records every aten operator on device values; operators on host tensors alone may only take views of them."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tracer = self.tracer
        on_device = on_host = False
        for leaf in tree_iter((args, kwargs)):
            on_device |= isinstance(leaf, TileTensor)
            on_host |= isinstance(leaf, _TENSOR) and not isinstance(leaf, TileTensor)
        if on_host and not on_device:
            return host_tensors.host_operator(tracer, func, args, kwargs)
        if on_host:
            host_tensors.check_unchanged(tracer, func, args)
            args, kwargs = tree_map_only(
                _TENSOR,
                lambda t: t if isinstance(t, TileTensor) else indexing.load_scalar(tracer, t, func),
                (args, kwargs),
            )
        with self:  # handlers and decompositions are themselves made of torch operators
            result = dispatch.run(tracer, func, args, kwargs)
        if func.is_view:
            # torch wants an object of its own where there is nothing to cut away
            result = tree_map_only(TileTensor, lambda t: tracer.wrap(tracer.value(t)) if t is args[0] else t, result)
            for view in result if isinstance(result, (list, tuple)) else (result,):
                args[0].share_with(view)
        return result


not_compiled(DispatchMode.__torch_dispatch__)
