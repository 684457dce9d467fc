"""A whole call as one function: allocations of known layouts, the C function beneath Triton's launcher, the results.

Such a function is written for arguments of one layout and one compiled kernel, where the host code does nothing else
(see `helion.emit.straight`). It is called only where torch's guards have found the arguments to be of that layout, with
no mode or transform active. Of what else an allocation depends on it makes sure itself, and runs the host code as it is
where anything differs.
"""

from __future__ import annotations

import ast
import functools
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import torch

from ...emit.straight import UNKNOWN, Allocation, Launch, NotStraight, Step, Straight, is_plain, straight_line
from ...emit.wrapper import TORCH, UNITS
from ...integration import versions
from ...syntax import compiled, parse
from . import direct
from .autograd import changed_arguments
from .device import multiprocessors
from .signature import fits_32_bits

if TYPE_CHECKING:
    from ...emit.module import Generated

log = logging.getLogger(__name__)
Run = Callable[..., Any]
Variant = tuple[direct.Shape, direct.Compiled]
_NO_FUNCTION_MODES = "not (modes() or deterministic())"


def straight_call(
    generated: Generated, host: Run, variant: Variant, args: Sequence[Any], constants: Set[str]
) -> Run | None:
    """A function that does what `host` does for arguments just like `args`, or None where there is none.

    `variant` is what the last launch ran, `constants` are the parameters whose numbers count by value.
    """
    node, program = generated.host, generated.program
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    devices = sorted({a.device for a in args if isinstance(a, torch.Tensor)}, key=lambda d: d.type == "cpu")
    try:
        if not devices:
            raise NotStraight("no tensor among the arguments")
        device = devices[0]
        if variant[1].index != (-1 if device.index is None else device.index):
            raise NotStraight("the last launch was on another device")
        with torch._C.DisableTorchFunction():
            values = _values(names, args, constants)
            space = _space(generated) | {TORCH: torch, UNITS: multiprocessors}
            straight = straight_line(node, len(program.tensors), values, space, device)
        return _Writer(generated, host, variant, device).function(names, straight)
    except NotStraight as reason:
        log.debug("%s: the host code runs as it is: %s", program.name, reason)
        return None


def _values(names: Sequence[str], args: Sequence[Any], constants: Set[str]) -> dict[str, Any]:
    """What equal layouts and constants say of the arguments."""
    values: dict[str, Any] = {}
    for name, value in zip(names, args, strict=True):
        constant = is_plain(value) and (type(value) not in (int, float) or name in constants)
        values[name] = value if constant or isinstance(value, torch.Tensor) else UNKNOWN
    return values


def _space(generated: Generated) -> dict[str, Any]:
    """What names mean in the user's function, besides its variables."""
    function = generated.source.function
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}


class _Writer:
    """Writes the function. Variables of the user are prefixed: the other names are of the launch."""

    def __init__(self, generated: Generated, host: Run, variant: Variant, device: torch.device) -> None:
        self._generated, self._device = generated, device
        self._shape, compiled = variant
        assert compiled.form is not None
        self._form = compiled.form
        self._cells: dict[str, Any] = {
            **direct.cells(compiled, self._form), "host": host, "launch": functools.partial(_launched, host),
            "tell": torch.autograd.graph.increment_version, "modes": versions.function_modes,
            "deterministic": versions.deterministic,
        }  # fmt: skip

    def function(self, names: Sequence[str], straight: Straight) -> Run:
        node = self._generated.source.node
        allocates = any(isinstance(step, Allocation) for _, step in straight.steps)
        terms = [*direct.on_this_device(), direct.NO_HOOKS, *([_NO_FUNCTION_MODES] if allocates else [])]
        terms += self._unchanged(straight.captured)
        arguments = ", ".join(map(_variable, names))
        text = f"def {node.name}({arguments}):\n    if not ({' and '.join(terms)}):\n        return host({arguments})"
        inner = _at(node, parse(text).body)[0]
        assert isinstance(inner, ast.FunctionDef)
        for origin, step in straight.steps:
            inner.body += _at(origin, self._written(step))
        maker = parse(f"def make({', '.join(self._cells)}):\n    return {node.name}")
        assert isinstance(maker.body[0], ast.FunctionDef)
        maker.body[0].body.insert(0, inner)
        space: dict[str, Any] = {}
        exec(compiled(ast.fix_missing_locations(maker), self._generated.source.filename, "exec"), space)
        return space["make"](**self._cells)  # type: ignore[no-any-return]

    def _unchanged(self, captured: Mapping[str, Any]) -> list[str]:
        space = self._generated.source.function.__globals__
        if any(space.get(name) is not value for name, value in captured.items()):
            raise NotStraight(f"of {', '.join(captured)} some are in a closure")
        self._cells |= {"space": space} | {f"global{k}": value for k, value in enumerate(captured.values())}
        return [f"space.get({name!r}) is global{k}" for k, name in enumerate(captured)]

    def _written(self, step: Step) -> list[ast.stmt]:
        if isinstance(step, Allocation):
            return parse(self._allocation(step)).body
        if isinstance(step, Launch):
            return parse("\n".join(self._launch(step))).body
        return [_Prefixed().visit(step)]

    def _allocation(self, step: Allocation) -> str:
        allocate = versions.empty_strided(self._device.type)
        if allocate is None:
            raise NotStraight("torch has no function that only allocates")
        dtype = f"dtype_{str(step.dtype).rpartition('.')[2]}"
        self._cells |= {"allocate": allocate, dtype: step.dtype}
        return f"{_variable(step.target)} = allocate({step.size}, {step.stride}, {dtype})"

    def _launch(self, step: Launch) -> list[str]:
        tensors = [_variable(t) for t in step.tensors]
        numbers = [str(n.value) if isinstance(n, ast.Constant) else f"n{k}" for k, n in enumerate(step.numbers)]
        changed = [tensors[k] for k in changed_arguments(self._generated)]
        tell = [f"tell([{', '.join(changed)}])"] if changed else []
        computed = [
            f"{name} = {ast.unparse(_Prefixed().visit(number))}"
            for name, number in zip(numbers, step.numbers, strict=True)
            if not isinstance(number, ast.Constant)
        ]
        if 0 in step.grid:
            return [*computed, *tell]
        for number, wide in zip(step.numbers, self._shape.wide, strict=True):
            known = number.value if isinstance(number, ast.Constant) else None
            if wide is not None and isinstance(known, int) and fits_32_bits(known) is wide:
                raise NotStraight(f"the kernel was compiled for another width of {known}")
        pointers = [f"p{k}" for k in range(len(tensors))]
        values = [*pointers, *numbers, *self._described(step)]
        call = direct.call_text(self._form.text, [str(n) for n in step.grid], values)
        lines = [f"{p} = {t}.data_ptr()" for p, t in zip(pointers, tensors, strict=True)]
        otherwise = f"launch({', '.join([str(step.grid), *tensors, *numbers])}, **options)"
        self._cells["options"] = dict(self._generated.options)
        fits = direct.fitting(self._shape, pointers, numbers)
        launched = [f"    {statement}" for statement in (call, *tell)]
        return [*computed, *lines, f"if {' and '.join(fits)}:", *launched, "else:", f"    {otherwise}"]

    def _described(self, step: Launch) -> list[str]:
        """What the C function takes for descriptors, of tensors that begin where they may."""
        texts: list[str] = []
        for k, mapped in enumerate(self._form.maps):
            tensor, layout = mapped.of.tensor, step.layouts[mapped.of.tensor]
            if not self._shape.aligned[tensor] or not mapped.of.fits(0, *layout):
                raise NotStraight(f"{step.tensors[tensor]} is laid out as descriptors may not be")
            self._cells[f"map{k}"] = mapped.of_one_layout(*layout)
            sizes, strides = mapped.numbers(*layout)
            texts += [f"map{k}(p{tensor})", *map(str, [*sizes, *strides])]
        return texts


def _launched(host: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
    """The launch that `host` would make, by whatever it uses now."""
    from ...emit.wrapper import KERNEL, LAUNCH

    names = host.__kwdefaults__
    names[LAUNCH](names[KERNEL], grid, *args, **options)


def _variable(name: str) -> str:
    return f"u_{name}"


class _Prefixed(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(_variable(node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        return ast.Call(node.func, [self.visit(a) for a in node.args], [])  # of a function of Python's


def _at(origin: ast.stmt, made: list[ast.stmt]) -> list[ast.stmt]:
    """`made`, on the line of `origin`: errors show the user's line."""
    for top in made:
        for node in ast.walk(top):
            if isinstance(node, (ast.stmt, ast.expr, ast.arg, ast.keyword)):
                node.lineno = node.end_lineno = origin.lineno
                node.col_offset, node.end_col_offset = origin.col_offset, origin.col_offset + 1
    return made
