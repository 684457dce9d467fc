"""Templates of any elementwise operator, through TorchInductor's lowerings. Imported when one is needed: it takes long.

The lowering runs on dummy 1-D (or 0-d) buffers, so a template is independent of shapes.
"""

from __future__ import annotations

import functools
import re
import warnings
from types import SimpleNamespace
from typing import Any

import sympy
import torch
from torch._inductor import config as inductor_config
from torch._inductor import lowering as inductor_lowering
from torch._inductor.codegen.common import CSEVariable
from torch._inductor.codegen.triton import TritonKernelOverrides
from torch._inductor.dtype_propagation import DtypePropagationOpsHandler
from torch._inductor.graph import GraphLowering
from torch._inductor.ir import FixedLayout, InputBuffer, Pointwise, StorageBox, TensorBox
from torch._inductor.ops_handler import DefaultHandler
from torch._inductor.virtualized import V
from torch.utils._sympy.value_ranges import ValueRanges

from ..ir import Slot
from .recorder import Recorder, Template, Unsupported
from .spellings import Spellings


class _Variable(CSEVariable):
    """A variable of a recorder that Inductor's own code takes for one of its own."""

    def __init__(self, token: str, dtype: torch.dtype) -> None:
        super().__init__(token, ValueRanges.unknown(), dtype, None)


class _Overrides(Spellings, TritonKernelOverrides):
    """Our spellings, and Inductor's for what we have none of."""


class _Kernel:
    """What overrides ask of the kernel they stand in."""

    min_elem_per_thread = 0
    index_dtype = "tl.int32"
    is_native_matmul = False
    cse = SimpleNamespace(varname_map={})


_WRAPPED = re.compile(r"\((@\d+@)\)(?=\.)")  # parentheses that Inductor puts before a conversion


class _InductorRecorder(Recorder, DefaultHandler):
    """Receives the operations of an Inductor body."""

    variable = _Variable

    def __init__(self, inputs: tuple[tuple[torch.dtype, bool], ...]) -> None:
        super().__init__(inputs)
        self._dtypes = DtypePropagationOpsHandler()

    def load(self, name: str, index: sympy.Expr) -> _Variable:
        k = int(name[2:])
        if str(index) != ("i0" if self.inputs[k][1] else "0"):
            raise Unsupported(f"it moves data (reads at {index})")
        return self.input(k)

    def constant(self, value: Any, dtype: torch.dtype) -> _Variable:
        if isinstance(value, TensorBox):
            raise Unsupported("a number that its body holds is known at the call only")
        return super().constant(value, dtype)  # type: ignore[no-any-return]

    def index_expr(self, expr: sympy.Expr, dtype: torch.dtype) -> _Variable:
        raise Unsupported("it depends on the position of an element")

    def indirect_indexing(self, *args: Any, **kwargs: Any) -> Any:
        raise Unsupported("it gathers")

    def masked(self, *args: Any, **kwargs: Any) -> Any:
        raise Unsupported("it pads")

    def _default(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Variable:
        try:
            text = str(getattr(_Overrides, name)(*args, **kwargs))
        except NotImplementedError:
            raise Unsupported(f"Triton has no {name}") from None
        text = _WRAPPED.sub(r"\1", text)
        same = next((a for a in args if isinstance(a, _Variable) and str(a) == text), None)
        if same is not None:  # a conversion that changes nothing
            return same
        return self.step(text, getattr(self._dtypes, name)(*args, **kwargs))


@functools.cache
def _graph() -> GraphLowering:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    graph = GraphLowering(torch.fx.symbolic_trace(lambda: None), shape_env=ShapeEnv())
    graph.current_device = torch.device("cpu")
    return graph


def lowers(target: Any) -> bool:
    """Whether Inductor has a lowering of `target`."""
    return target in inductor_lowering.lowerings


def template(target: Any, inputs: Any, args: Any, kwargs: Any, result: torch.dtype) -> Template:
    """See `pointwise.template`. Raises `Unsupported` with the reason where there is no elementwise body."""
    body = _body(target, inputs, args, kwargs)
    if body is None:
        return Template((), "{0}")
    recorder = _InductorRecorder(inputs)
    with V.set_graph_handler(_graph()), V.set_ops_handler(recorder), V.set_kernel_handler(_Kernel()):
        output = body.inner_fn([sympy.Symbol(f"i{k}") for k in range(len(body.ranges))])
    return recorder.template(getattr(output, "value", output), result)


def _body(target: Any, inputs: Any, args: Any, kwargs: Any) -> Pointwise | None:
    """Inductor's elementwise IR of one operator, or None where it returns its input unchanged."""
    device = torch.device("cpu")

    def convert(argument: Any) -> Any:
        if isinstance(argument, Slot):
            dtype, has_dims = inputs[argument.index]
            sizes, strides = ([sympy.Integer(8)], [sympy.Integer(1)]) if has_dims else ([], [])
            layout = FixedLayout(device, dtype, sizes, strides)
            return TensorBox.create(InputBuffer(name=f"in{argument.index}", layout=layout))
        if isinstance(argument, tuple):
            return tuple(map(convert, argument))
        return argument

    with warnings.catch_warnings(), V.set_graph_handler(_graph()):
        warnings.simplefilter("ignore")
        with inductor_config.patch(split_reductions=False, implicit_fallbacks=False):
            try:
                lowered = inductor_lowering.lowerings[target](*convert(args), **{k: convert(v) for k, v in kwargs})
            except (TypeError, AttributeError, NotImplementedError, AssertionError) as error:
                raise Unsupported(f"Inductor's lowering failed ({error})") from None
    if not isinstance(lowered, TensorBox) or not isinstance(lowered.data, StorageBox):
        raise Unsupported(f"it lowers to {type(lowered).__name__}")
    data = lowered.data.data
    if isinstance(data, InputBuffer):
        return None
    if not isinstance(data, Pointwise):
        raise Unsupported(f"it lowers to {type(data).__name__}")
    return data
