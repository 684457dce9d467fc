"""The schema of an operator, from the annotations of a function and what its source stores to."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Callable, Collection, Iterator
from types import FunctionType
from typing import Any

import torch

from .. import exc
from ..frontend.source import function_source, parameter_place

_STORES = {"store", "atomic_add", "atomic_and", "atomic_or", "atomic_xor", "atomic_max", "atomic_min", "atomic_xchg",
           "atomic_cas"}  # fmt: skip
_VIEWS = {"view", "reshape", "t", "T", "mT", "transpose", "permute", "flatten", "unflatten", "squeeze", "unsqueeze",
          "expand", "narrow", "select", "as_strided", "movedim", "swapaxes", "diagonal", "unfold", "split", "chunk",
          "unbind", "view_as", "expand_as", "contiguous", "detach"}  # fmt: skip
_CONSTEXPR = re.compile(r"\bconstexpr(?:\[(\w+)\])?")
_PLAIN = {"int": int, "float": float, "bool": bool, "str": str}


def schema_of(name: str, function: FunctionType, written: Collection[str]) -> str:
    """The schema of operator `name`, which calls `function` and changes the parameters `written`.

    Raises `InvalidOperator` for what no schema can hold, at the parameter.
    """
    signature = inspect.signature(function)
    unknown = [w for w in written if w not in signature.parameters]
    if unknown:
        raise exc.InvalidOperator(
            name=name, problem=f"there is no parameter `{unknown[0]}` that it could change",
            instead=f"name parameters of {function.__name__}{signature}",
        )  # fmt: skip
    hints = _hints(function)
    parameters = []
    for parameter in signature.parameters.values():
        kind = _parameter_type(name, function, parameter, hints.get(parameter.name, parameter.annotation))
        parameters.append(parameter.replace(annotation=kind))
        _try(name, function, [parameters[-1]], None, parameter.name)
    returns = hints.get("return", signature.return_annotation)
    if returns is inspect.Signature.empty:
        raise exc.InvalidOperator(
            name=name, problem=f"{function.__name__} does not say what it returns", location=_place(function),
            instead="annotate it: -> torch.Tensor, -> tuple[torch.Tensor, torch.Tensor], -> None",
        )  # fmt: skip
    returns = None if returns is type(None) else returns
    return _try(name, function, parameters, returns, None, written)


def _hints(function: FunctionType) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # annotations of names that exist for checkers only
        return dict(function.__annotations__)


def _parameter_type(name: str, function: FunctionType, parameter: inspect.Parameter, hint: Any) -> Any:
    """The type that `parameter` has in the schema."""
    from ..language.constants import constexpr

    if hint is constexpr or (isinstance(hint, str) and "constexpr" in hint):
        found = _CONSTEXPR.search(_annotation_text(function, parameter.name))
        kind = _PLAIN.get(found[1]) if found else None
        if kind is None and type(parameter.default) in _PLAIN.values():
            kind = type(parameter.default)
        if kind is None:
            raise exc.InvalidOperator(
                name=name, problem=f"the type of the constant `{parameter.name}` is not known",
                instead=f"write {parameter.name}: hl.constexpr[int] (or float, bool, str)",
                location=parameter_place(function, parameter.name),
            )  # fmt: skip
        return kind
    if hint is inspect.Parameter.empty:
        raise exc.InvalidOperator(
            name=name, problem=f"parameter `{parameter.name}` has no annotation",
            instead=f"annotate it, for instance {parameter.name}: torch.Tensor",
            location=parameter_place(function, parameter.name),
        )  # fmt: skip
    return hint


def _annotation_text(function: FunctionType, name: str) -> str:
    arguments = function_source(function).node.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        if argument.arg == name and argument.annotation is not None:
            return ast.unparse(argument.annotation)
    return ""


def _try(
    name: str, function: FunctionType, parameters: list[inspect.Parameter], returns: Any, at: str | None,
    written: Collection[str] = (),
) -> str:  # fmt: skip
    """What torch makes of these annotations. Raises `InvalidOperator`, at parameter `at`, where it makes nothing."""

    def prototype() -> None: ...

    prototype.__signature__ = inspect.Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
    try:
        return torch.library.infer_schema(prototype, mutates_args=tuple(written))
    except ValueError as error:
        text = f"parameter `{at}`" if at else "what it returns"
        kind = parameters[-1].annotation if at else returns
        raise exc.InvalidOperator(
            name=name, problem=f"no schema can hold {text}, annotated {_shown(kind)}",
            instead="operators take and give tensors, numbers, strings, dtypes, devices, lists of tensors or numbers; "
            "bind anything else in a function around the kernel, and make that the operator",
            location=parameter_place(function, at) if at else _place(function),
        ) from error  # fmt: skip


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and "[" not in repr(annotation) else str(annotation)


def _place(function: FunctionType) -> Any:
    from ..location import Location

    return Location(function.__code__.co_filename, function.__code__.co_firstlineno)


# --- what is stored to


def stored_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Parameters that the source of a kernel stores to, under their own name or that of a view.

    A guess from the text alone, which every trace checks: it needs no arguments, and so no call.
    """
    node = function_source(function).node  # type: ignore[arg-type]
    parameters = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    roots = {name: name for name in parameters}
    found = set()
    for statement in _in_order(node):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                _bind(target, statement.value, roots)
        found.update(_root(target, roots) for target in _stored(statement))
    return tuple(name for name in parameters if name in found)


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _bind(target: ast.expr, value: ast.expr, roots: dict[str, str]) -> None:
    if isinstance(target, (ast.Tuple, ast.List)):
        pairs = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        values = value.elts if pairs else [value] * len(target.elts)  # type: ignore[attr-defined]
        for inner, part in zip(target.elts, values, strict=True):
            _bind(inner, part, roots)
    elif isinstance(target, ast.Name):
        root = _root(value, roots)
        if root is not None:
            roots[target.id] = root
        else:
            roots.pop(target.id, None)


def _root(node: ast.AST, roots: dict[str, str]) -> str | None:
    """The parameter that `node` is, or is a view of."""
    if isinstance(node, ast.Name):
        return roots.get(node.id)
    if isinstance(node, (ast.Subscript, ast.Starred)):
        return _root(node.value, roots)
    if isinstance(node, ast.Attribute) and node.attr in _VIEWS:
        return _root(node.value, roots)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _root(node.func, roots)
    return None


def _stored(node: ast.AST) -> Iterator[ast.expr]:
    """What a statement or call stores to."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        yield node.value
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _STORES and node.args:
            yield node.args[0]
        elif isinstance(node.func, ast.Attribute) and called.endswith("_") and not called.endswith("__"):
            yield node.func.value
