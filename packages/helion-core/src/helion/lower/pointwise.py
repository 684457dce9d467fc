"""Elementwise torch operators as Triton text, made once per operator and dtypes through TorchInductor's lowerings.

The lowering runs on dummy 1-D (or 0-d) buffers, so a template is independent of shapes. In a template `{k}` stands for
input k and `$j$` for line j of `lines`, which is used more than once.
"""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass
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
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._sympy.value_ranges import ValueRanges

from ..ir import Slot

HALF = (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
TRITON_DTYPES = {
    torch.float32: "tl.float32", torch.float64: "tl.float64", torch.float16: "tl.float16",
    torch.bfloat16: "tl.bfloat16", torch.bool: "tl.int1", torch.int8: "tl.int8", torch.int16: "tl.int16",
    torch.int32: "tl.int32", torch.int64: "tl.int64", torch.uint8: "tl.uint8", torch.uint16: "tl.uint16",
    torch.uint32: "tl.uint32", torch.uint64: "tl.uint64",
    torch.float8_e4m3fn: "tl.float8e4nv", torch.float8_e5m2: "tl.float8e5",
}  # fmt: skip


@dataclass(frozen=True)
class Template:
    """Triton text of an elementwise operator: helper lines, then the result."""

    lines: tuple[str, ...]
    result: str


class Unsupported(Exception):
    """Inductor has no elementwise body for this operator; another way must be taken."""


def cast_text(text: str, source: torch.dtype | None, target: torch.dtype) -> str:
    """`text`, of dtype `source`, converted to `target` as `Tensor.to` does."""
    if source == target:
        return text
    if target is torch.bool:
        return f"({text} != 0)"
    if target is torch.uint8 and source is not None and source.is_floating_point:
        return f"{text}.to(tl.int16).to(tl.uint8)"
    if source in HALF and target in HALF:
        return f"{text}.to(tl.float32).to({TRITON_DTYPES[target]})"
    return f"{text}.to({TRITON_DTYPES[target]})"


class _Variable(CSEVariable):
    """The result of a recorded step, or an input; its text is a token that is expanded at the end."""

    def __init__(self, token: str, dtype: torch.dtype) -> None:
        super().__init__(token, ValueRanges.unknown(), dtype, None)


class _Overrides(TritonKernelOverrides):
    """Spellings that give the same values on the GPU and in Triton's interpreter."""

    @staticmethod
    def exp(x: Any) -> str:
        return f"tl.exp({x})"

    @staticmethod
    def exp2(x: Any) -> str:
        return f"tl.exp2({x})"

    @staticmethod
    def log(x: Any) -> str:
        return f"tl.log({x})"

    @staticmethod
    def log2(x: Any) -> str:
        return f"tl.log2({x})"

    @staticmethod
    def sin(x: Any) -> str:
        return f"tl.sin({x})"

    @staticmethod
    def cos(x: Any) -> str:
        return f"tl.cos({x})"

    @staticmethod
    def abs(x: Any) -> str:
        return f"tl.abs({x})"

    @staticmethod
    def sqrt(x: Any) -> str:
        # Inductor's tl.sqrt_rn takes float32 alone
        return f"tl.sqrt({x})" if x.dtype is torch.float64 else TritonKernelOverrides.sqrt(x)

    @staticmethod
    def rsqrt(x: Any) -> str:
        return f"tl.rsqrt({x})"

    @staticmethod
    def erf(x: Any) -> str:
        return f"tl.erf({x})"

    @staticmethod
    def floor(x: Any) -> str:
        return f"tl.floor({x})"

    @staticmethod
    def ceil(x: Any) -> str:
        return f"tl.ceil({x})"

    @staticmethod
    def sigmoid(x: Any) -> str:
        return f"tl.sigmoid({x})"

    @staticmethod
    def isnan(x: Any) -> str:
        return f"{x} != {x}"

    @staticmethod
    def isinf(x: Any) -> str:
        return f"tl.abs({x}) == float('inf')"

    @staticmethod
    def maximum(a: Any, b: Any) -> str:
        return f"tl.maximum({a}, {b}, tl.PropagateNan.ALL)"

    @staticmethod
    def minimum(a: Any, b: Any) -> str:
        return f"tl.minimum({a}, {b}, tl.PropagateNan.ALL)"

    @staticmethod
    def sub(x: Any, y: Any) -> str:
        return f"{x} - {y}"

    @staticmethod
    def truediv(x: Any, y: Any) -> str:
        return f"{x} / {y}"

    @staticmethod
    def remainder(a: Any, b: Any) -> str:
        return f"tl.where(({a} % {b} != 0) & (({a} % {b} < 0) != ({b} < 0)), {a} % {b} + {b}, {a} % {b})"

    @staticmethod
    def to_dtype(
        x: Any, dtype: torch.dtype, src_dtype: torch.dtype | None = None, use_compute_types: bool = True
    ) -> str:  # fmt: skip
        return cast_text(str(x), src_dtype or x.dtype, dtype)


class _Kernel:
    """What overrides ask of the kernel they stand in."""

    min_elem_per_thread = 0
    index_dtype = "tl.int32"
    is_native_matmul = False
    cse = SimpleNamespace(varname_map={})


class _Recorder(DefaultHandler):
    """Receives the operations of an Inductor body and writes them down as text."""

    def __init__(self, inputs: tuple[tuple[torch.dtype, bool], ...]) -> None:
        self.inputs = inputs
        self.texts: list[str] = []
        self.constants: dict[int, tuple[str, torch.dtype]] = {}
        self._known: dict[str, _Variable] = {}
        self._dtypes = DtypePropagationOpsHandler()

    def _step(self, text: str, dtype: torch.dtype) -> _Variable:
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = _Variable(f"@{len(self.texts)}@", dtype)
            self.texts.append(text)
        return found

    def load(self, name: str, index: sympy.Expr) -> _Variable:
        k = int(name[2:])
        dtype, has_dims = self.inputs[k]
        if str(index) != ("i0" if has_dims else "0"):
            raise Unsupported(f"it moves data (reads at {index})")
        text = f"{{{k}}}"
        if dtype in HALF:
            return self._step(f"{text}.to(tl.float32)", torch.float32)
        return self._step(text, dtype)

    def constant(self, value: Any, dtype: torch.dtype) -> _Variable:
        number = torch._prims_common.dtype_to_type(dtype)(value)
        if dtype is not torch.bool and not dtype.is_signed:
            number %= 1 << 8 * dtype.itemsize  # as torch: -1 is the largest
        text = repr(number)
        if number != number or number in (float("inf"), float("-inf")):
            text = f"float('{number}')"
        variable = self._step(text, dtype)
        self.constants[int(str(variable)[1:-1])] = (text, dtype)
        return variable

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
        return self._step(text, getattr(self._dtypes, name)(*args, **kwargs))


@functools.cache
def _graph() -> GraphLowering:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    graph = GraphLowering(torch.fx.symbolic_trace(lambda: None), shape_env=ShapeEnv())
    graph.current_device = torch.device("cpu")
    return graph


def is_elementwise(target: Any) -> bool:
    """Whether `target` is tagged pointwise and Inductor lowers it."""
    return torch.Tag.pointwise in target.tags and target in inductor_lowering.lowerings


@functools.cache
def template(
    target: Any, inputs: tuple[tuple[torch.dtype, bool], ...], args: tuple[Any, ...],
    kwargs: tuple[tuple[str, Any], ...], result: torch.dtype,
) -> Template:  # fmt: skip
    """The text of `target(*args, **kwargs)`. `inputs`: per tensor its dtype and whether it has dims; `Slot(k)` in the
    arguments stands for tensor k. Raises `Unsupported` with the reason where there is no elementwise body.
    """
    with _disable_current_modes():  # the lowering itself calls torch, which must not be traced
        body = _inductor_body(target, inputs, args, kwargs)
        if body is None:
            return Template((), "{0}")
        recorder = _Recorder(inputs)
        with V.set_graph_handler(_graph()), V.set_ops_handler(recorder), V.set_kernel_handler(_Kernel()):
            output = body.inner_fn([sympy.Symbol(f"i{k}") for k in range(len(body.ranges))])
    output = getattr(output, "value", output)
    return _expand(recorder, output, result)


def _inductor_body(target: Any, inputs: Any, args: Any, kwargs: Any) -> Pointwise | None:
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


_TOKEN = re.compile(r"@(\d+)@")
_WRAPPED = re.compile(r"\((@\d+@)\)(?=\.)")  # parentheses that Inductor puts before a conversion
_TWICE = re.compile(r"(\.to\(tl\.\w+\))\1")  # the load and the operator both convert half precision
_ATOM = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?|\([^()]*\)|[\w.{}$]+(?:\((?:[^()]|\([^()]*\))*\))?(?:\.to\([\w.]+\))*")


def _expand(recorder: _Recorder, output: Any, result: torch.dtype) -> Template:
    """Tokens to text: steps used once are written in place, others become lines."""
    texts, constants = recorder.texts, recorder.constants
    final = str(output)
    uses = [0] * len(texts)
    for text in (*texts, final):
        for token in _TOKEN.findall(text):
            uses[int(token)] += 1
    lines: list[str] = []
    names: dict[int, str] = {}

    def only_constants(text: str) -> bool:
        return all(int(token) in constants for token in _TOKEN.findall(text))

    def substitute(text: str) -> str:
        def one(match: re.Match[str]) -> str:
            step = int(match[1])
            if step in constants:
                literal, dtype = constants[step]
                # Triton takes a number without a tensor beside it for float32, or int32
                untyped = text != match.group() and (_is_argument(text, match) or only_constants(text))
                exact = untyped and dtype in (torch.float64, torch.uint8, torch.uint16, torch.uint32)
                if exact or text[match.end() : match.end() + 1] == ".":
                    return f"tl.full([], {literal}, {TRITON_DTYPES[dtype]})"
            whole = match.group() == text
            name = names[step]
            return name if whole or _ATOM.fullmatch(name) or _is_argument(text, match) else f"({name})"

        return _TWICE.sub(r"\1", _TOKEN.sub(one, text))

    for step, text in enumerate(texts):
        expanded = substitute(text)
        if uses[step] > 1 and step not in constants and not re.fullmatch(r"\{\d+\}", expanded):
            names[step] = f"${len(lines)}$"
            lines.append(expanded)
        else:
            names[step] = expanded
    dtype = getattr(output, "dtype", None)
    text = substitute(final)
    if dtype != result:
        text = cast_text(text if _ATOM.fullmatch(text) else f"({text})", dtype, result)
    return Template(tuple(lines), text)


def _is_argument(text: str, match: re.Match[str]) -> bool:
    """Whether the token is a whole argument of a call, which needs no parentheses."""
    before = text[: match.start()].rstrip()[-1:]
    after = text[match.end() :].lstrip()[:1]
    return before in ("(", ",") and after in (")", ",") and re.match(r"[\w.]+\(", text) is not None
