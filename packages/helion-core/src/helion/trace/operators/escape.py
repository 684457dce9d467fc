"""Printing, assertions, inline assembly and inline Triton."""

from __future__ import annotations

import inspect
import string
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_iter

from ... import exc, ir, location
from ...ir import Slot, Value
from ...syntax import parse
from ..host_tensors import direct_usage
from ..indexing import load_scalar
from ..symbols import is_symbolic
from ..values import Tile, TileTensor
from .broadcast import broadcast_values

if TYPE_CHECKING:
    from ..tracer import Tracer


# --- printing and assertions


def device_print(tracer: Tracer, prefix: str, values: Sequence[Any]) -> None:
    """`tl.device_print`: one line per lane."""
    if not isinstance(prefix, str):
        raise exc.InvalidArgument(
            what=f"{tracer.describe(prefix)} as the text of hl.device_print",
            instead='give a text first: hl.device_print("text", value)', location=location.here(),
        )  # fmt: skip
    tensors = [_as_value(tracer, v, "print") for v in values]
    tracer.record(ir.Print(prefix=prefix, inputs=tuple(tensors)))


def python_print(tracer: Tracer, *values: Any, **options: Any) -> None:
    """`print` in device code: on the device where a device value is among the arguments, else while tracing."""

    def shown(value: Any) -> str:
        return value if isinstance(value, str) else tracer.named(str(value))

    for value in values:
        _check_printable(tracer, value)
    if not any(tracer.is_device_value(v) for v in values):
        print(*map(shown, values), **options)
        return
    texts = [shown(v) for v in values if not tracer.is_device_value(v)]
    device_print(tracer, " ".join(texts), [v for v in values if tracer.is_device_value(v)])


def _check_printable(tracer: Tracer, value: Any) -> None:
    """Refuses what would print stand-ins of tracing: containers of device values, whole host tensors."""
    if isinstance(value, torch.Tensor) and not isinstance(value, (TileTensor, Tile)):
        raise direct_usage(tracer, value, "print")
    if isinstance(value, (list, tuple, dict)) and any(isinstance(v, torch.Tensor) for v in tree_iter(value)):
        raise exc.InvalidArgument(
            what=f"a {type(value).__name__} of device values in print",
            instead="print the values one by one: print(*values)",
        )


def device_assert(tracer: Tracer, condition: Any, message: str) -> None:
    value = _as_value(tracer, condition, "assert")
    if value.dtype is not torch.bool:
        value = tracer.value(tracer.wrap(value) != 0)
    tracer.record(ir.Assert(message=message, inputs=(value,)))


def _as_value(tracer: Tracer, value: Any, what: str) -> Value:
    if isinstance(value, Tile):
        value = value.index
    if is_symbolic(value) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        value = tracer.scalar(value)
    if isinstance(value, torch.Tensor) and not isinstance(value, TileTensor):
        value = load_scalar(tracer, value, print)
    if not isinstance(value, TileTensor):
        raise exc.InvalidArgument(
            what=f"a {type(value).__name__} in {what}",
            instead="give device values and numbers",
            location=location.here(),
        )
    return tracer.value(value)


# --- text of the user's own


def inline_asm(
    tracer: Tracer, asm: str, constraints: str, args: Sequence[Any], dtype: Any, is_pure: bool, pack: int
) -> Any:
    dtypes = list(dtype) if isinstance(dtype, (tuple, list)) else [dtype]
    values = [a if isinstance(a, TileTensor) else tracer.full((), a, None) for a in args]
    inputs = broadcast_values(tracer, "inline_asm_elementwise", values) if values else []
    dims = inputs[0].dims if inputs else ()
    results = tuple(Value(dims, d) for d in dtypes)
    tracer.record(
        ir.InlineAsm(
            asm=asm, constraints=constraints, is_pure=is_pure, pack=pack, inputs=tuple(inputs), results=results
        )
    )
    wrapped = tuple(map(tracer.wrap, results))
    return wrapped if isinstance(dtype, (tuple, list)) else wrapped[0]


def _slots(tracer: Tracer, args: Sequence[Any], function: str) -> tuple[list[Any], list[Value]]:
    """Arguments with device values replaced by `Slot(k)`, and those values."""
    found: list[Any] = []
    inputs: list[Value] = []
    for arg in args:
        if isinstance(arg, (TileTensor, Tile)) or is_symbolic(arg):
            found.append(Slot(len(inputs)))
            inputs.append(_as_value(tracer, arg, function))
        elif isinstance(arg, (int, float, bool, str)):
            found.append(arg)
        else:
            raise exc.InvalidArgument(
                what=f"a {type(arg).__name__} as an argument of {function}", location=location.here(),
                instead="give device values, numbers and strings",
            )  # fmt: skip
    return found, inputs


def _results(tracer: Tracer, output_like: Any) -> tuple[Value, ...]:
    if output_like is None:
        return ()
    listed = output_like if isinstance(output_like, (tuple, list)) else [output_like]
    return tuple(Value(tracer.value(t).dims, tracer.value(t).dtype) for t in listed)


def _wrapped(tracer: Tracer, op: ir.Op, output_like: Any) -> Any:
    tracer.record(op)
    wrapped = tuple(map(tracer.wrap, op.results))
    if output_like is None:
        return None
    return wrapped if isinstance(output_like, (tuple, list)) else wrapped[0]


def inline_triton(tracer: Tracer, source: str, args: Any, output_like: Any) -> Any:
    named = dict(args) if isinstance(args, Mapping) else {str(k): a for k, a in enumerate(args)}
    _check_source(source, named)
    found, inputs = _slots(tracer, list(named.values()), "hl.inline_triton")
    names = tuple(zip(named, found, strict=True))
    op = ir.InlineTriton(source=source, names=names, inputs=tuple(inputs), results=_results(tracer, output_like))
    return _wrapped(tracer, op, output_like)


def _check_source(source: str, named: Mapping[str, Any]) -> None:

    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(source) if name is not None]
        missing = [n for n in fields if n not in named]
        problem = f"no argument for the placeholder {{{missing[0]}}}" if missing else ""
        if not problem:
            text = source.format(*["x"] * len(named), **dict.fromkeys(named, "x"))
            parse(textwrap.dedent(text).strip("\n"))
    except (ValueError, SyntaxError, IndexError, KeyError) as error:
        problem = str(error)
    if problem:
        raise exc.UnsupportedOperation(
            op="the source of hl.inline_triton", reason=f": {problem}", location=location.here(),
            instead="write Triton statements with {name} or {0} for the arguments, and the result as the last line",
        )  # fmt: skip


def triton_kernel(tracer: Tracer, function: Any, args: Any, output_like: Any) -> Any:
    if isinstance(args, Mapping):
        names = list(args)
        listed = list(args.values())
    else:
        names, listed = [], list(args)
    name, helpers = _source_of(function)
    found, inputs = _slots(tracer, listed, "hl.triton_kernel")
    if names:
        order = list(inspect.signature(function.fn).parameters) if hasattr(function, "fn") else names
        found = [found[names.index(n)] for n in order if n in names]
    op = ir.CallTriton(
        function=name, args=tuple(found), helpers=tuple(helpers.items()), inputs=tuple(inputs),
        results=_results(tracer, output_like),
    )  # fmt: skip
    return _wrapped(tracer, op, output_like)


def _source_of(function: Any) -> tuple[str, dict[str, str]]:
    """The name of a Triton function, and the text of it and of what it uses."""
    if isinstance(function, str):
        return _from_text(textwrap.dedent(function).strip())
    helpers: dict[str, str] = {}
    if not hasattr(function, "fn") or not hasattr(function, "src"):
        raise exc.InvalidArgument(
            what=f"a {type(function).__name__} in hl.triton_kernel", location=location.here(),
            instead="give a function decorated with @triton.jit, or its source text",
        )  # fmt: skip
    _collect(function, helpers)
    return function.fn.__name__, helpers


def _from_text(text: str) -> tuple[str, dict[str, str]]:
    import ast

    definitions = [n for n in parse(text).body if isinstance(n, ast.FunctionDef)]
    if not definitions:
        raise exc.UnsupportedOperation(
            op="the source of hl.triton_kernel", reason=": it defines no function", location=location.here(),
            instead="give the text of one `def`",
        )  # fmt: skip
    name = definitions[-1].name
    return name, {name: text + "\n" if "@triton.jit" in text else f"@triton.jit\n{text}\n"}


def _collect(function: Any, helpers: dict[str, str]) -> None:
    """Sources of `function` and of the jitted functions and constants among its globals, callees first."""
    from triton.runtime.jit import JITFunction

    python = function.fn
    for name in python.__code__.co_names:
        value = python.__globals__.get(name)
        if isinstance(value, JITFunction) and name not in helpers and value is not function:
            _collect(value, helpers)
        elif isinstance(value, (int, float)) or type(value).__name__ == "constexpr":
            helpers[name] = f"{name} = tl.constexpr({getattr(value, 'value', value)!r})\n"
    source = textwrap.dedent(inspect.getsource(python))
    helpers[python.__name__] = "@triton.jit\n" + source[source.index("def ") :]
