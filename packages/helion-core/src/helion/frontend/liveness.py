"""Which names are read and written where: a backward pass over structured Python."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

Names = frozenset[str]
NONE: Names = frozenset()

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def reads(node: ast.AST | None) -> Names:
    """Names that evaluating `node` may read, those of nested functions and comprehensions included."""
    if node is None:
        return NONE
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def writes(nodes: Iterable[ast.AST]) -> Names:
    """Names that running `nodes` may bind or delete in the scope they stand in, or whose list or dict it may change."""
    found: set[str] = set()
    for node in nodes:
        _collect_writes(node, found, mutations=True)
    return frozenset(found)


def binds(nodes: Iterable[ast.AST]) -> Names:
    """Names that running `nodes` may bind or delete: those that Python makes local to the function."""
    found: set[str] = set()
    for node in nodes:
        _collect_writes(node, found, mutations=False)
    return frozenset(found)


_MUTATORS = frozenset(
    {"append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "reverse", "sort"}
)


def _mutated_container(node: ast.AST) -> str | None:
    """The name whose list or dict `node` changes: `x` of `x[i] = v` and `x.append(v)`."""
    target: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        target = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
        target = node.func.value
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _collect_writes(node: ast.AST, found: set[str], mutations: bool) -> None:
    mutated = _mutated_container(node) if mutations else None
    if mutated is not None:
        found.add(mutated)
    if isinstance(node, _SCOPES):
        if not isinstance(node, ast.Lambda):
            found.add(node.name)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        found.add(node.id)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        found.add(node.name)
    elif isinstance(node, ast.alias):
        found.add((node.asname or node.name).split(".")[0])
    elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        found.add(node.name)
    elif isinstance(node, _COMPREHENSIONS):
        # a walrus inside binds outside; the loop targets stay inside
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                found.add(inner.target.id)
        return
    for child in ast.iter_child_nodes(node):
        _collect_writes(child, found, mutations)


def _bound(nodes: Iterable[ast.AST]) -> Names:
    """Names that `nodes` surely bind anew in this scope, so that what they held before is not read any more."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(node.id)
        elif not isinstance(node, (*_SCOPES, *_COMPREHENSIONS, ast.NamedExpr)):  # a walrus may be skipped
            found |= _bound(ast.iter_child_nodes(node))
    return frozenset(found)


class Liveness:
    """Names whose current value may still be read, after and on entry of each compound statement."""

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.after: dict[ast.stmt, Names] = {}
        self.into_body: dict[ast.stmt, Names] = {}
        self._jump_targets: list[tuple[Names, Names]] = []  # (on continue, on break) of the enclosing loops
        self._block(body, NONE)

    def _block(self, body: Sequence[ast.stmt], live: Names) -> Names:
        for statement in reversed(body):
            live = self._statement(statement, live)
        return live

    def _statement(self, node: ast.stmt, live: Names) -> Names:
        match node:
            case ast.For() | ast.AsyncFor():
                return reads(node.iter) | self._loop(node, live, _bound([node.target]), reads(node.target))
            case ast.While():
                return self._loop(node, live, NONE, reads(node.test))
            case ast.If():
                self.after[node] = live | self.after.get(node, NONE)
                into_then, into_else = self._block(node.body, live), self._block(node.orelse, live)
                self.into_body[node] = into_then | into_else | self.into_body.get(node, NONE)
                return reads(node.test) | into_then | into_else
            case ast.Return() | ast.Raise():
                return _reads_of_children(node)
            case ast.Continue():
                return self._jump_targets[-1][0] if self._jump_targets else live
            case ast.Break():
                return self._jump_targets[-1][1] if self._jump_targets else live
            case ast.With() | ast.AsyncWith():
                inner = self._block(node.body, live)
                return (inner - _bound(node.items)) | frozenset().union(*(reads(item) for item in node.items))
            case ast.Try():
                return self._try(node, live)
            case ast.AugAssign():
                return (live - _bound([node])) | reads(node.value) | _names(node.target)
            case ast.FunctionDef() | ast.ClassDef():
                return (live - {node.name}) | reads(node)
            case _:
                if isinstance(node, ast.Match):
                    bodies = frozenset().union(*(self._block(case.body, live) for case in node.cases))
                    return live | bodies | reads(node)
                return (live - _bound([node])) | reads(node)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, live: Names, bound: Names, head: Names) -> Names:
        self.after[node] = live | self.after.get(node, NONE)
        after_else = self._block(node.orelse, live)
        into = NONE
        for _ in range(2):  # the second pass sees what the next iteration reads
            around = into | after_else | head
            self._jump_targets.append((around, live))
            into = (self._block(node.body, around) - bound) | head
            self._jump_targets.pop()
        self.into_body[node] = into | self.into_body.get(node, NONE)
        return into | after_else

    def _try(self, node: ast.Try, live: Names) -> Names:
        live = self._block(node.finalbody, live)
        handlers = frozenset().union(
            *(self._block(h.body, live) | reads(h.type) for h in node.handlers), live if not node.handlers else NONE
        )
        body = self._block(node.body, self._block(node.orelse, live) | handlers)
        return body | handlers


def _names(target: ast.expr) -> Names:
    """Names an augmented assignment reads through its target: `x` of `x += 1`, `x` and `i` of `x[i] += 1`."""
    return frozenset(n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _reads_of_children(node: ast.AST) -> Names:
    return frozenset().union(*(reads(child) for child in ast.iter_child_nodes(node)))
