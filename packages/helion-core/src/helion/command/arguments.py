"""Arguments of a call, written on a command line, as values without data.

x=bf16[4096, 4096], y=bf16[4096, 4096].strides[1, 4096], eps=1e-5, causal=True, dtype=torch.float32
"""

from __future__ import annotations

import ast
from typing import Any

import torch

from .. import exc
from ..ir import short_dtype

DTYPES = {
    torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8,
}  # fmt: skip
_NAMES = {short_dtype(d): d for d in DTYPES} | {str(d).removeprefix("torch."): d for d in DTYPES}


def parse_arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments; tensors are on the device "meta". Raises `CommandFailed`."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except SyntaxError as error:
        raise _refused(text, error.msg) from None
    if not isinstance(call, ast.Call) or any(keyword.arg is None for keyword in call.keywords):
        raise _refused(text, "it is not a list of arguments")
    positional = [_value(node) for node in call.args]
    return positional, {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}


def parse_dtype(name: str) -> torch.dtype:
    """`bf16`, `bfloat16` or `torch.bfloat16`. Raises `CommandFailed`."""
    found = _NAMES.get(name.removeprefix("torch."))
    if found is None:
        raise exc.CommandFailed(
            problem=f"there is no dtype `{name}`", instead=f"dtypes: {', '.join(sorted(map(short_dtype, DTYPES)))}"
        )
    return found


def describe_arguments(args: Any) -> str:
    """Arguments in the same notation."""
    return ", ".join(map(_text, args))


def _text(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        strides = "" if value.is_contiguous() else f".strides{list(value.stride())}"
        return f"{short_dtype(value.dtype)}{list(value.shape)}{strides}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return getattr(value, "__name__", None) or repr(value)


def _refused(text: str, why: str) -> exc.CommandFailed:
    return exc.CommandFailed(
        problem=f"`{text}` does not read as arguments: {why}",
        instead='write --args "x=bf16[4096, 4096], y=f32[8].strides[2], eps=1e-5, causal=True"',
    )


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Subscript(ast.Attribute(ast.Subscript(dtype, shape), "strides"), strides):
            return _tensor(dtype, _numbers(shape), _numbers(strides))
        case ast.Subscript(dtype, shape):
            return _tensor(dtype, _numbers(shape), None)
        case ast.List(elts):
            return [_value(e) for e in elts]
        case ast.Tuple(elts):
            return tuple(_value(e) for e in elts)
        case ast.Attribute(ast.Name("torch"), name):
            return parse_dtype(name)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _refused(ast.unparse(node), "it is no tensor, number, string, bool or dtype") from None


def _numbers(node: ast.expr) -> list[int]:
    elements = node.elts if isinstance(node, ast.Tuple) else [node]
    found = [e.value if isinstance(e, ast.Constant) else None for e in elements]
    if any(type(n) is not int or n < 0 for n in found):
        raise _refused(ast.unparse(node), "sizes and strides are numbers, 0 or more")
    return found  # type: ignore[return-value]


def _tensor(dtype: ast.expr, shape: list[int], strides: list[int] | None) -> torch.Tensor:
    kind = parse_dtype(ast.unparse(dtype))
    if strides is None:
        return torch.empty(shape, dtype=kind, device="meta")
    if len(strides) != len(shape):
        raise _refused(f"strides{strides}", f"{len(shape)} are needed for the shape {shape}")
    return torch.empty_strided(shape, strides, dtype=kind, device="meta")
