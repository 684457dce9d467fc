"""Rewrites the control flow of a function into calls of `control`; all other statements stay as they are.

`for T in I: B` becomes a nested function of the carried variables and
`(carried) = rt.for_(I, body, names, thunks, loop)`; `while` and `if` likewise. A loop with `break` or `return`, and an
`if` with any jump, stays a Python statement: its condition or iterable goes through a check that refuses device values.
Operands of `**`, `~` and of text formatting go through `numbers`. Line and column numbers are kept.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import TypeVar

from .. import exc
from ..location import Location, from_bytes
from . import control
from .build import compile_like
from .liveness import Liveness, Names, binds, writes
from .source import FunctionSource, function_source

RUNTIME = "__helion_rt"
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_Node = TypeVar("_Node", bound=ast.AST)
_OPAQUE = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def rewrite(function: FunctionType) -> FunctionType:
    """`function` with device-aware control flow, over the same globals and closure cells.

    Raises `SourceUnavailable` and `UnsupportedSyntax`.
    """
    source = function_source(function)
    node = copy.deepcopy(source.node)
    refuse_unsupported(source)
    number_loops(node)
    transformed = _Rewriter(source.filename).function(node)
    _mangle_private(transformed, function.__qualname__)
    return compile_like(transformed, source, {RUNTIME: control})


def number_loops(node: ast.FunctionDef) -> dict[int, ast.For]:
    """Gives every `for` of the function a number in source order, the same for the rewriter and the wrapper."""
    loops = [n for n in ast.walk(node) if isinstance(n, ast.For)]
    loops.sort(key=lambda n: (n.lineno, n.col_offset))
    for number, loop in enumerate(loops):
        loop.helion_number = number  # type: ignore[attr-defined]
    return dict(enumerate(loops))


def refuse_unsupported(source: FunctionSource) -> None:
    """Raises `UnsupportedSyntax` at the first statement that a kernel cannot hold."""
    refused: dict[type[ast.AST], tuple[str, str]] = {
        ast.Yield: ("`yield`", "return a value, or build a list"),
        ast.YieldFrom: ("`yield from`", "return a value, or build a list"),
        ast.Await: ("`await`", "call a plain function"),
        ast.AsyncFor: ("`async for`", "write a plain `for`"),
        ast.AsyncWith: ("`async with`", "write a plain `with`"),
        ast.Global: ("`global`", "return the value, or store it to a tensor"),
        ast.Nonlocal: ("`nonlocal`", "return the value, or store it to a tensor"),
    }
    for node in ast.walk(source.node):
        found = refused.get(type(node))
        if found is not None:
            raise exc.UnsupportedSyntax(what=found[0], instead=found[1], location=place_of(source.filename, node))


def place_of(filename: str, node: ast.AST) -> Location:
    """Where `node` stands: its whole text where it fits on one line, else what its first line holds of it."""
    line, end_line = node.lineno, node.end_lineno  # type: ignore[attr-defined]
    end = node.end_col_offset if end_line == line else -1  # type: ignore[attr-defined]
    return from_bytes(filename, line, node.col_offset, end)  # type: ignore[attr-defined]


def _mangle_private(node: ast.AST, qualname: str) -> None:
    """`self.__x` as the class body would compile it, since the rewritten function is compiled outside the class."""
    outer = qualname.split(".")[-2:-1]
    if not outer or outer[0] == "<locals>":
        return
    prefix = "_" + outer[0].lstrip("_")
    for inner in ast.walk(node):
        attribute = "attr" if isinstance(inner, ast.Attribute) else "id" if isinstance(inner, ast.Name) else None
        if attribute is None:
            continue
        name = getattr(inner, attribute)
        if name.startswith("__") and not name.endswith("__") and not name.startswith("__helion"):
            setattr(inner, attribute, prefix + name)


def _at(new: _Node, old: ast.AST, end: ast.expr | None = None) -> _Node:
    """`new` and its unplaced parts on one line of `old`: multi-line spans would move tracebacks to the last line."""
    line, column = old.lineno, old.col_offset  # type: ignore[attr-defined]
    last = end if end is not None else old
    same_line = last.end_lineno == line  # type: ignore[attr-defined]
    end_column = last.end_col_offset if same_line else column + 1  # type: ignore[attr-defined]
    for node in ast.walk(new):
        if "lineno" in node._attributes and not hasattr(node, "lineno"):
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset, node.end_col_offset = column, end_column  # type: ignore[attr-defined]
    return new


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(_load(RUNTIME), name, ast.Load()), list(arguments), [])


def _thunk(body: ast.expr) -> ast.Lambda:
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, body)


def _names_tuple(names: Sequence[str], context: type[ast.expr_context]) -> ast.Tuple:
    return ast.Tuple([ast.Name(n, context()) for n in names], context())


def _own_jumps(body: Iterable[ast.AST], in_loop: bool = False) -> set[type[ast.AST]]:
    """Kinds of jump in `body` that leave it: `return` anywhere, `break` and `continue` outside inner loops."""
    found: set[type[ast.AST]] = set()
    for node in body:
        if isinstance(node, _FUNCTIONS):
            continue
        if isinstance(node, (ast.Break, ast.Continue)) and not in_loop:
            found.add(type(node))
        elif isinstance(node, ast.Return):
            found.add(ast.Return)
        inside = in_loop or isinstance(node, (ast.For, ast.While))
        found |= _own_jumps(ast.iter_child_nodes(node), inside)
    return found


class _Rewriter(ast.NodeTransformer):
    """One per function; nested functions get their own."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.counter = 0
        self.continue_to: list[str] | None = None  # carried names, inside a functionalised loop body

    def function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.liveness = Liveness(node.body)
        # what is free or global stays so: carrying it would make it local
        self.locals = binds(node.body) | {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
        node.decorator_list = []
        node.body = self.block(node.body)
        return node

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            result.extend(new if isinstance(new, list) else [new])
        return result

    # --- statements

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        decorators = [self.visit(d) for d in node.decorator_list]
        node = _Rewriter(self.filename).function(node)
        node.decorator_list = decorators
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        stores = [store for target in node.targets for store in self._outer_stores(target)]
        self.generic_visit(node)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            node.value = _at(_call("bind", ast.Constant(node.targets[0].id), node.value), node.value)  # type: ignore[assignment]
        return [*stores, node] if stores else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.stmt]:
        stores = self._outer_stores(node.target)
        self.generic_visit(node)
        return [*stores, node] if stores else node

    def _outer_stores(self, target: ast.expr) -> list[ast.stmt]:
        """Checks that stand before a store to `target`, where it reaches a global or an outer function's variable."""
        found: list[ast.stmt] = []
        for node in ast.walk(target):
            if not isinstance(node, (ast.Attribute, ast.Subscript)) or not isinstance(node.ctx, ast.Store):
                continue
            root: ast.expr = node
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            if not isinstance(root, ast.Name) or root.id in self.locals:
                continue
            attribute = isinstance(node, ast.Attribute)
            if attribute or isinstance(node.value, ast.Name):
                container = ast.Constant(None) if attribute else _load(root.id)
                check = ast.Expr(_call("outer_store", container, ast.Constant(ast.unparse(node))))
                found.append(_at(check, node))  # type: ignore[arg-type]
        return found

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        if isinstance(node.target, ast.Name):
            # the annotation of a carried variable would make a parameter an annotated local
            value = _at(_call("bind", ast.Constant(node.target.id), node.value), node.value)
            return ast.copy_location(ast.Assign([node.target], value), node)
        return node

    def visit_Delete(self, node: ast.Delete) -> ast.AST | list[ast.stmt]:
        result: list[ast.stmt] = []
        for target in node.targets:
            if isinstance(target, ast.Name):
                gone = ast.Assign([ast.Name(target.id, ast.Store())], _call("undefined", ast.Constant(target.id)))
                result.append(_at(gone, node))  # type: ignore[arg-type]
            else:
                result.append(ast.copy_location(ast.Delete([self.visit(target)]), node))
        return result

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if node.value is not None:
            node.value = _at(_call("returned", node.value), node)  # type: ignore[assignment]
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.generic_visit(node)
        message = _thunk(node.msg) if node.msg is not None else ast.Constant(None)
        return ast.copy_location(ast.Expr(_at(_call("assert_", node.test, message), node)), node)

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
        iterable, span = self.visit(node.iter), node.iter
        if node.orelse:
            iterable = _at(_call("without_else", iterable), node, span)
        target = self.visit(node.target)
        number = ast.Constant(getattr(node, "helion_number", -1))
        jumps = _own_jumps(node.body) & {ast.Break, ast.Return}
        if jumps:
            word = "return" if ast.Return in jumps else "break"
            node.iter = _at(_call("plain_iter", iterable, ast.Constant(word)), node, span)  # type: ignore[assignment]
            node.body, node.orelse = self._plain_body(node.body), self.block(node.orelse)
            return node
        carried = self._carried(node, [*node.body, node.target])
        element = self._fresh("item")
        unpack = ast.copy_location(ast.Assign([target], _load(element)), node.target)
        ast.fix_missing_locations(unpack)
        body = self._nested("for", [element, *carried], node, carried, prologue=[unpack])
        targets = ast.Tuple([ast.Constant(n) for n in _target_names(node.target)], ast.Load())
        call = _call("for_", iterable, _load(body.name), *self._carry(carried), number, targets)
        return [body, self._assign(carried, call, node, span), *self.block(node.orelse)]

    def visit_While(self, node: ast.While) -> ast.AST | list[ast.stmt]:
        test, span = self.visit(node.test), node.test
        jumps = _own_jumps(node.body) & {ast.Break, ast.Return}
        if jumps or binds([test]):
            word = "return" if ast.Return in jumps else "break" if jumps else "while ... := ..."
            node.test = _at(_call("plain_test", test, ast.Constant(word)), node, span)  # type: ignore[assignment]
            node.body, node.orelse = self._plain_body(node.body), self.block(node.orelse)
            return node
        carried = self._carried(node, node.body)
        body = self._nested("while", carried, node, carried)
        condition = ast.FunctionDef(
            name=self._fresh("test"), args=_arguments(carried), decorator_list=[], body=[ast.Return(test)]
        )
        _at(condition, node, span)
        call = _call("while_", _load(condition.name), _load(body.name), *self._carry(carried))
        return [condition, body, self._assign(carried, call, node, span), *self.block(node.orelse)]

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test, span = self.visit(node.test), node.test
        jumps = _own_jumps([*node.body, *node.orelse])
        if jumps:
            word = next(
                w for k, w in ((ast.Return, "return"), (ast.Break, "break"), (ast.Continue, "continue")) if k in jumps
            )
            node.test = _at(_call("plain_test", test, ast.Constant(word)), node, span)  # type: ignore[assignment]
            node.body, node.orelse = self.block(node.body), self.block(node.orelse)
            return node
        carried = self._carried(node, [*node.body, *node.orelse])
        then = self._nested("then", carried, node, carried)
        other = self._nested("else", carried, node, carried, body=node.orelse)
        call = _call("if_", test, _load(then.name), _load(other.name), *self._carry(carried))
        return [then, other, self._assign(carried, call, node, span)]

    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        if self.continue_to is None:
            return node
        return ast.copy_location(_at(ast.Return(_names_tuple(self.continue_to, ast.Load)), node), node)

    def _plain_body(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        saved, self.continue_to = self.continue_to, None
        result = self.block(body)
        self.continue_to = saved
        return result

    def _carried(self, node: ast.stmt, written: Sequence[ast.AST]) -> list[str]:
        live: Names = self.liveness.after[node] | self.liveness.into_body[node]
        return sorted(writes(written) & live & self.locals)

    def _nested(
        self, kind: str, parameters: list[str], node: ast.For | ast.While | ast.If, carried: list[str],
        prologue: Sequence[ast.stmt] = (), body: list[ast.stmt] | None = None,
    ) -> ast.FunctionDef:  # fmt: skip
        saved = self.continue_to
        if kind in ("for", "while"):
            self.continue_to = carried
        statements = self.block(node.body if body is None else body)
        self.continue_to = saved
        final = ast.Return(_names_tuple(carried, ast.Load))
        function = ast.FunctionDef(
            name=self._fresh(kind), args=_arguments(parameters), decorator_list=[],
            body=[*prologue, *statements, final],
        )  # fmt: skip
        return _at(function, node)  # type: ignore[return-value]

    def _carry(self, names: Sequence[str]) -> tuple[ast.expr, ast.expr]:
        thunks = ast.Tuple([_thunk(_load(n)) for n in names], ast.Load())
        return ast.Tuple([ast.Constant(n) for n in names], ast.Load()), thunks

    def _assign(self, names: Sequence[str], call: ast.Call, node: ast.stmt, span: ast.expr) -> ast.stmt:
        new = ast.Assign([_names_tuple(names, ast.Store)], call) if names else ast.Expr(call)
        return _at(new, node, span)  # type: ignore[return-value]

    def _fresh(self, kind: str) -> str:
        self.counter += 1
        return f"__helion_{kind}_{self.counter}"

    # --- expressions

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.func = ast.copy_location(_call("fn", node.func), node.func)
        ast.fix_missing_locations(node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if _is_opaque(node):
            return node
        return _at(_call("ifexp", node.test, _thunk(node.body), _thunk(node.orelse)), node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if _is_opaque(node):
            return node
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return _at(_call(name, *map(_thunk, node.values)), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Invert):
            node.operand = _at(_call("bits", node.operand), node.operand)  # type: ignore[assignment]
        return _at(_call("not_", node.operand), node) if isinstance(node.op, ast.Not) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            node.left = _at(_call("base", node.left), node.left)  # type: ignore[assignment]
        elif isinstance(node.op, ast.Mod) and _is_text(node.left):
            node.right = _at(_call("settled", node.right), node.right)  # type: ignore[assignment]
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        node.value = _at(_call("settled", node.value), node.value)  # type: ignore[assignment]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 or _is_opaque(node):
            return node
        symbols = ast.Tuple([ast.Constant(_COMPARE[type(op)]) for op in node.ops], ast.Load())
        return _at(_call("compare", symbols, node.left, *map(_thunk, node.comparators)), node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _arguments(names: Sequence[str]) -> ast.arguments:
    return ast.arguments(posonlyargs=[], args=[ast.arg(n) for n in names], kwonlyargs=[], kw_defaults=[], defaults=[])


def _target_names(target: ast.expr) -> list[str]:
    """The plain names that a `for` target unpacks into, for the names of its tiles."""
    elements = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
    if any(isinstance(e, ast.Starred) for e in elements):
        return ["tile"]
    return [e.id if isinstance(e, ast.Name) else "tile" for e in elements]


def _is_opaque(node: ast.AST) -> bool:
    """Whether `node` binds or suspends inside, so that wrapping parts of it in lambdas would change its meaning."""
    return any(isinstance(inner, _OPAQUE) for inner in ast.walk(node))
