"""Host code for one set of sizes, evaluated as far as these decide it: what is left are allocations and one launch.

What is evaluated has no effects and reads nothing but layouts of tensors, constants among the arguments and plain
globals. Allocations are made once, to see what they make, and must leave their memory as it is. Host code with anything
else in it is not straight.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..syntax import compiled
from .wrapper import LAUNCH, TORCH, UNITS

UNKNOWN = object()
"""An argument that equal layouts and constants leave open: a number, or anything that is not evaluated."""
_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)
_CAPTURED = (bool, int, float, str, torch.dtype)
_ATTRIBUTES = {"shape", "dtype", "device", "ndim", "is_cuda", "itemsize", "is_floating_point", "type", "index"}
_METHODS = {"size", "stride", "dim", "numel", "nelement", "element_size", "is_contiguous", "is_floating_point"}
_FUNCTIONS = {"min", "max", "len", "int", "float", "bool", "abs", "tuple", "list", "sum"}
_VIEWS = {"transpose", "permute", "t"}  # with all elements, so that they may as well be allocated as they are
_NODES = (
    ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.Tuple, ast.List, ast.Subscript, ast.Slice, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


class NotStraight(Exception):
    """Host code that must be run as it is, and why."""


@dataclass(frozen=True)
class Allocation:
    """Uninitialised memory for `target`."""

    target: str
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Launch:
    """The launch. `layouts`: sizes and strides of the tensors. What is known of `numbers` is a constant."""

    grid: tuple[int, ...]
    tensors: tuple[str, ...]
    layouts: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    numbers: tuple[ast.expr, ...]


Step = Allocation | Launch | ast.stmt


@dataclass(frozen=True)
class Straight:
    """The statements of host code that must run, each with what it comes to; a statement stands for itself.

    They hold as long as the globals in `captured` are these objects.
    """

    steps: Sequence[tuple[ast.stmt, Step]]
    captured: Mapping[str, Any]


def straight_line(
    host: ast.FunctionDef, tensors: int, values: Mapping[str, Any], space: Mapping[str, Any], device: torch.device
) -> Straight:
    """What is left of `host`.

    `values` are the arguments: tensors, constants, `UNKNOWN`; `tensors` is how many tensors the launch takes, `space`
    what the names of the host code mean, `device` where the kernel runs. Raises `NotStraight`.
    """
    evaluation = _Evaluation(tensors, values, space, device)
    return Straight(list(evaluation.block(host.body)), evaluation.captured)


class _Evaluation:
    def __init__(self, tensors: int, values: Mapping[str, Any], space: Mapping[str, Any], device: torch.device) -> None:
        self._tensors, self._device, self._space = tensors, device, space
        self._values = dict(values)
        self._returned = False
        self.captured: dict[str, Any] = {}

    def block(self, body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, Step]]:
        for node in body:
            if not self._returned:
                yield from self._statement(node)

    def _statement(self, node: ast.stmt) -> Iterator[tuple[ast.stmt, Step]]:
        match node:
            case ast.Pass() | ast.Expr(ast.Constant()):
                pass
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target) if node.value is not None:
                yield from self._assign(node, target, node.value)
            case ast.Assert(test=test) if self._plain(test):
                pass
            case ast.If(test=test):
                yield from self.block(node.body if self._plain(test) else node.orelse)
            case ast.Expr(ast.Call(func=ast.Name(name)) as call) if name == LAUNCH:
                yield node, self._launch(call)
            case ast.Return(value=value):
                self._returned = True
                yield node, ast.Return(value and self._result(value))
            case _:
                raise NotStraight(f"line {node.lineno}: {type(node).__name__}")

    def _assign(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.stmt, Step]]:
        value = self._chosen(value)
        if isinstance(value, ast.Name) and not self._is_plain(value.id) and isinstance(target, ast.Name):
            self._values[target.id] = self._value(value.id)
            yield node, ast.Assign([target], value)
        elif isinstance(value, ast.Call) and isinstance(target, ast.Name) and _allocates(_unviewed(value)):
            made = self._allocated(value)
            self._values[target.id] = made
            yield node, Allocation(target.id, tuple(made.size()), made.stride(), made.dtype)
        elif isinstance(value, (ast.BinOp, ast.UnaryOp)) and isinstance(target, ast.Name) and self._is_open(value):
            left = self._number(value)
            self._values[target.id] = UNKNOWN
            yield node, ast.Assign([target], left)
        else:
            self._bind(target, self._plain(value))

    def _is_open(self, node: ast.expr) -> bool:
        return any(isinstance(n, ast.Name) and self._values.get(n.id) is UNKNOWN for n in ast.walk(node))

    def _bind(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(name):
                self._values[name] = value
            case ast.Tuple(parts) | ast.List(parts) if isinstance(value, (tuple, list)) and len(parts) == len(value):
                for part, one in zip(parts, value, strict=True):
                    self._bind(part, one)
            case _:
                raise NotStraight("an assignment to something other than names")

    def _chosen(self, node: ast.expr) -> ast.expr:
        """The branch that a conditional expression takes."""
        while isinstance(node, ast.IfExp):
            node = node.body if self._plain(node.test) else node.orelse
        return node

    def _allocated(self, call: ast.Call) -> torch.Tensor:
        if _unviewed(call) is not call:
            assert isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call)
            return getattr(self._allocated(call.func.value), call.func.attr)(*map(self._plain, call.args))  # type: ignore[no-any-return]
        _, owner, function = _parts(call)
        given = {keyword.arg for keyword in call.keywords}
        if not given <= {"dtype", "device"}:
            raise NotStraight(f"`{ast.unparse(call)}`: options")
        if owner == "torch" and function != "empty_like" and len(given) < 2:
            raise NotStraight(f"`{ast.unparse(call)}`: the default dtype or device may change")
        try:
            args = [self._tensor_or_plain(a) for a in call.args]
            options = {k.arg: self._plain(k.value) for k in call.keywords if k.arg is not None}
            of = self._module(owner) if owner == "torch" else self._value(owner)
            made = getattr(of, function)(*args, **options)
        except NotStraight:
            raise
        except Exception as error:
            raise NotStraight(f"`{ast.unparse(call)}`: {error}") from error
        if type(made) is not torch.Tensor or made.layout is not torch.strided or made.device != self._device:
            raise NotStraight(f"`{ast.unparse(call)}` makes something else")
        return made

    def _launch(self, call: ast.Call) -> Launch:
        grid = self._plain(call.args[1])
        tensors, numbers = call.args[2 : 2 + self._tensors], call.args[2 + self._tensors :]
        names = tuple([t.id if isinstance(t, ast.Name) else "" for t in tensors])
        if not all(name and isinstance(self._value(name), torch.Tensor) for name in names):
            raise NotStraight("a tensor that is no variable of the host code")
        layouts = tuple((tuple(self._value(name).size()), self._value(name).stride()) for name in names)
        return Launch(tuple(grid), names, layouts, tuple(map(self._number, numbers)))

    def _number(self, node: ast.expr) -> ast.expr:
        """`node` with what is known put in."""
        match node:
            case ast.Name(name) if self._values.get(name) is UNKNOWN:
                return node
            case ast.BinOp(left, op, right):
                left, right = self._number(left), self._number(right)
                if not isinstance(left, ast.Constant) or not isinstance(right, ast.Constant):
                    return ast.BinOp(left, op, right)
            case ast.UnaryOp(op, operand):
                operand = self._number(operand)
                if not isinstance(operand, ast.Constant):
                    return ast.UnaryOp(op, operand)
            case ast.Call(func=ast.Name(name) as function, args=given) if name in _FUNCTIONS and self._is_open(node):
                if not self._allowed(node) or self._meaning(name) is not getattr(builtins, name):
                    raise NotStraight(f"`{ast.unparse(node)}` is not Python's {name}")
                return ast.Call(function, [self._number(a) for a in given], [])
        value = self._plain(node)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise NotStraight(f"{value!r} as a number")
        return ast.Constant(value)

    def _result(self, node: ast.expr) -> ast.expr:
        """What is returned: variables, and constants that are the same object every time."""
        node = self._chosen(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            return type(node)([self._result(e) for e in node.elts], ast.Load())
        if isinstance(node, ast.Name) and not self._is_plain(node.id):
            self._value(node.id)
            return node
        value = self._plain(node)
        if type(value) not in (bool, int, type(None)):
            raise NotStraight(f"{value!r} as a result")
        return ast.Constant(value)

    # --- values

    def _value(self, name: str) -> Any:
        if name not in self._values:
            raise NotStraight(f"`{name}` is not a variable of the host code")
        return self._values[name]

    def _is_plain(self, name: str) -> bool:
        value = self._values.get(name)
        return value is not UNKNOWN and not isinstance(value, torch.Tensor)

    def _tensor_or_plain(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and isinstance(self._values.get(node.id), torch.Tensor):
            return self._values[node.id]
        return self._plain(node)

    def _plain(self, node: ast.expr) -> Any:
        """The value of an expression that layouts and constants decide."""
        names: dict[str, Any] = {}
        asked = {id(part) for whole in ast.walk(node) for part in _asked(whole)}
        for part in ast.walk(node):
            if not self._allowed(part):
                raise NotStraight(f"`{ast.unparse(node)}` is evaluated at every call")
            if isinstance(part, ast.Name):
                value = names[part.id] = self._meaning(part.id)
                if isinstance(value, torch.Tensor) and id(part) not in asked:
                    raise NotStraight(f"`{ast.unparse(node)}` may depend on what `{part.id}` holds")
        try:
            code = compiled(ast.fix_missing_locations(ast.Expression(node)), "<host>", "eval")
            value = eval(code, {"__builtins__": {}, **names})
        except Exception as error:
            raise NotStraight(f"`{ast.unparse(node)}`: {error}") from error
        if not is_plain(value):
            raise NotStraight(f"`{ast.unparse(node)}` is a {type(value).__name__}")
        return value

    def _allowed(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                known = called.id in _FUNCTIONS or called.id == UNITS
            else:
                known = isinstance(called, ast.Attribute) and called.attr in _METHODS
            return known and not node.keywords
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("torch", TORCH):
                return isinstance(getattr(torch, node.attr, None), torch.dtype)
            return node.attr in _ATTRIBUTES or node.attr in _METHODS
        return isinstance(node, _NODES)

    def _meaning(self, name: str) -> Any:
        if name in self._values:
            value = self._values[name]
            if value is UNKNOWN:
                raise NotStraight(f"`{name}` may be another number at the next call")
            return value
        if name == "torch":
            return self._module(name)
        known = self._space.get(name, getattr(builtins, name, None))
        if name in (TORCH, UNITS) or (name in _FUNCTIONS and known is getattr(builtins, name)):
            return known
        if isinstance(known, _CAPTURED):
            self.captured[name] = known
            return known
        raise NotStraight(f"`{name}` is looked up at every call")

    def _module(self, name: str) -> Any:
        if name in self._values or self._space.get(name) is not torch:
            raise NotStraight(f"`{name}` is not the module")
        return torch


def _asked(node: ast.AST) -> list[ast.expr]:
    """Parts of `node` whose contents do not matter to it, if they are tensors."""
    if isinstance(node, ast.Attribute):
        return [node.value]
    if isinstance(node, ast.Compare) and all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == UNITS:
        return node.args
    return []


def _parts(call: ast.Call) -> tuple[bool, str, str]:
    """Whether `call` is `owner.function(...)`, and these names."""
    match call.func:
        case ast.Attribute(value=ast.Name(owner), attr=function):
            return True, owner, function
    return False, "", ""


def _allocates(call: ast.Call) -> bool:
    _, owner, function = _parts(call)
    return function in ("empty", "empty_like", "empty_strided") if owner == "torch" else function == "new_empty"


def _unviewed(call: ast.Call) -> ast.Call:
    """What views are taken of in `call`, one after the other; `call` itself where it is no view."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Call() as viewed, attr=name), keywords=[]) if name in _VIEWS:
            return _unviewed(viewed)
    return call


def is_plain(value: Any) -> bool:
    """Whether `value` is a constant, or consists of such."""
    if isinstance(value, (tuple, list)):
        return all(map(is_plain, value))
    return isinstance(value, _PLAIN)
