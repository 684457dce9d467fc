"""The host function: the user's own host code with the tile loops replaced by one launch."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ..config import Config
from ..frontend.rewrite import number_loops
from ..frontend.source import FunctionSource
from ..ir import Baked, BlockSize, HostScalar, HostTensor, Program, Range, Size
from ..lower.grid import Persistence, axes
from ..lower.layout import Layout
from ..syntax import parse
from .expressions import Printer

LAUNCH, KERNEL, TORCH, UNITS = "_launch", "_kernel", "_torch", "_multiprocessors"


def host_function(
    source: FunctionSource, program: Program, passed: Sequence[HostScalar], layout: Layout, config: Config,
    options: Mapping[str, Any],
    replacements: Mapping[tuple[int, str], Sequence[int | Baked | None]], persistent: Persistence | None = None,
) -> ast.FunctionDef:  # fmt: skip
    """The definition of the host function. `passed` are the scalars of `program` that the kernel takes, `options` go
    to the launch; `replacements` maps the (line, name) of calls
    that only trace (such as hl.register_block_size) to the block size numbers they stand for, in order.
    """
    last = max(phase.loop for phase in program.phases)
    assigned = _assigned(source.node) if program.scalars else set()
    # read before they are assigned
    entry = {s: f"_entry_{s.name}" for s in program.scalars if not assigned.isdisjoint(_names(s.source))}
    names = {s: entry.get(s, s.source) for s in program.scalars}
    grid = grid_text(program, layout, config, names, persistent)
    loops = number_loops(source.node)
    kept = _kept(source.node, program, loops)
    launch = _launch(program, grid, options, [names[s] for s in passed], kept)
    replaced = {loops[phase.loop]: _keeping(k, kept) for k, phase in enumerate(program.phases)} | {loops[last]: launch}
    # a copy in which tile loops are replaced: deepcopy takes what its memo already holds
    node = copy.deepcopy(source.node, {id(loop): _placed(new, loop) for loop, new in replaced.items()})
    node.decorator_list, node.returns = [], None
    for argument in [*node.args.posonlyargs, *node.args.args]:
        argument.annotation = None
    sizes = {
        where: [layout.block_sizes[program.blocks[k]] if isinstance(k, int) else k for k in numbers]
        for where, numbers in replacements.items()
    }
    if any(sizes.values()):
        node = _Replace(sizes).visit(node)
    node.body[:0] = [parse(f"{name} = {scalar.source}").body[0] for scalar, name in entry.items()]
    text = ast.unparse(launch)
    for name in (KERNEL, LAUNCH, TORCH, UNITS):
        if name in (KERNEL, LAUNCH) or f"{name}." in text or f"{name}(" in text:
            node.args.kwonlyargs.append(ast.arg(name))
            node.args.kw_defaults.append(ast.Name(_DEFAULTS.get(name, name), ast.Load()))
    return ast.fix_missing_locations(node)


def _placed(new: ast.stmt, loop: ast.For) -> ast.stmt:
    """`new` on the line of the loop that it replaces, so that errors of a launch show that line."""
    end = loop.iter.end_col_offset if loop.iter.end_lineno == loop.lineno else loop.col_offset + len("for")
    for node in ast.walk(new):
        if isinstance(node, (ast.stmt, ast.expr, ast.keyword)):
            node.lineno = node.end_lineno = loop.lineno
            node.col_offset, node.end_col_offset = loop.col_offset, end
    return new


def _kept(node: ast.FunctionDef, program: Program, loops: Mapping[int, ast.For]) -> dict[HostTensor, str]:
    """Names for tensors of earlier loops that host code before the launch, where the last loop stands, may replace."""
    launched = loops[program.phases[-1].loop].lineno
    found: dict[HostTensor, str] = {}
    earlier = [tensor for tensor in program.tensors if tensor.phase < len(program.phases) - 1]
    for tensor in earlier:
        loop = loops[program.phases[tensor.phase].loop]
        between = [n for n in ast.walk(node) if (loop.end_lineno or 0) < getattr(n, "lineno", 0) < launched]
        if not _replaced(between).isdisjoint(_names(tensor.source)):
            found[tensor] = f"_{tensor.name}_{tensor.phase}"
    return found


def _replaced(nodes: Sequence[ast.AST]) -> set[str]:
    """Names that stores among `nodes` go to, or into."""
    found = set()
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            found |= _names(ast.unparse(node))
    return found


def _keeping(phase: int, kept: Mapping[HostTensor, str]) -> ast.stmt:
    """What stands in the place of an earlier loop."""
    here = {name: tensor.source for tensor, name in kept.items() if tensor.phase == phase}
    return parse(f"{', '.join(here)} = {', '.join(here.values())}").body[0] if here else ast.Pass()


_DEFAULTS = {TORCH: "torch"}


def _assigned(node: ast.FunctionDef) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _names(source: str) -> set[str]:
    return {source} if source.isidentifier() else {n.id for n in ast.walk(parse(source)) if isinstance(n, ast.Name)}


def _launch(
    program: Program, grid: str, options: Mapping[str, Any], numbers: Sequence[str], kept: Mapping[HostTensor, str]
) -> ast.stmt:
    arguments = [*(kept.get(t, t.source) for t in program.tensors), *numbers]
    keywords = [f"{key}={value!r}" for key, value in options.items()]
    text = f"{LAUNCH}({', '.join([KERNEL, grid, *arguments, *keywords])})"
    return parse(text).body[0]


def launch_call(host: ast.FunctionDef) -> ast.Call:
    """The launch in the definition of a host function: `_launch(kernel, grid, *values, **options)`."""
    calls = (n for n in ast.walk(host) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
    return next(call for call in calls if call.func.id == LAUNCH)  # type: ignore[attr-defined]


def grid_text(
    program: Program, layout: Layout, config: Config, names: Mapping[HostScalar, str], persistent: Persistence | None
) -> str:
    """The grid of programs, as the text of a host tuple."""

    def symbol(s: Any) -> str:
        found = program.symbols[s]
        if isinstance(found, BlockSize):
            return str(layout.block_sizes[found])
        assert isinstance(found, HostScalar), f"{s} is not known on the host"
        return names[found]

    printer = Printer(symbol, device=False)
    dims = axes(program, layout, config)
    if dims is not None:
        return f"({', '.join(_count(program.phases[0].ranges[d], layout, printer) for d in dims)})"
    phases = [" * ".join(_count(r, layout, printer) for r in phase.ranges) for phase in program.phases]
    total = " + ".join(phases)
    if total.replace(" ", "").replace("*", "").replace("+", "").isdigit():
        total = str(eval(total))
    if persistent is None:
        return f"({total},)"
    units = f"{UNITS}({program.tensors[0].source})"
    if persistent.reserved:
        units = f"max(1, {units} - {persistent.reserved})"
    grid = f"(min({total}, {units}{f' * {persistent.multiplier}' if persistent.multiplier > 1 else ''}),)"
    # programs of the interpreter run one after the other, so one of them does all stages
    return f"{grid} if {program.tensors[0].source}.is_cuda else (1,)" if program.stages > 1 else grid


def _count(r: Range, layout: Layout, printer: Printer) -> str:
    begin, end, width = (layout.number(size) for size in (r.begin, r.end, r.width))
    if begin is not None and end is not None and width is not None:
        return str(max(0, -((begin - end) // width)))
    length = printer(r.end) if r.begin == 0 else f"({printer(r.end)} - {_operand(r.begin, printer)})"
    return f"max(0, -(-({length}) // {_operand(r.width, printer)}))"


def _operand(size: Size, printer: Printer) -> str:
    text = printer(size)
    return f"({text})" if " " in text else text


class _Replace(ast.NodeTransformer):
    """Puts numbers in place of calls that only matter while tracing."""

    def __init__(self, sizes: dict[tuple[int, str], list[int | Baked | None]]) -> None:
        self.sizes = sizes

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        waiting = self.sizes.get((node.lineno, name))
        if not waiting:
            return node
        size = waiting.pop(0)
        if size is not None:
            return ast.copy_location(ast.Constant(size.value if isinstance(size, Baked) else size), node)
        return node.args[0] if node.args else ast.copy_location(ast.Constant(None), node)
