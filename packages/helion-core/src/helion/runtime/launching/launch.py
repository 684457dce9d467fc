"""Launching: the host function with its launcher, on a GPU or in the interpreter."""

from __future__ import annotations

import functools
import linecache
import os
from collections.abc import Callable, Sequence, Set
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any

import torch

from ... import exc
from ...integration.capture import refuse_in_capture
from ...ir import Access, CallTriton, InlineTriton, Program
from ...location import Location
from ...locks import Lock
from .. import bounds
from ..binaries.compile import compile_error, compile_kernel
from ..binaries.load import load_kernel
from ..targets import device_target
from . import modules, stream
from .autograd import telling_autograd
from .descriptors import Maker
from .device import multiprocessors, on_device
from .direct import Compiled, Shape, form, launch_function
from .signature import fits_32_bits, signature
from .unwrapped import form_with_descriptors

if TYPE_CHECKING:
    from triton.runtime.errors import InterpreterError

    from ...emit.module import Generated


def host_callable(generated: Generated, device: torch.device) -> Callable[..., Any]:
    """The user's host code with the launch in it, over the user's own globals and closure."""
    from ...emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS
    from ...frontend.build import compile_like

    kernel = load_kernel(generated.kernel_source, generated.kernel_name)
    function = compile_like(generated.host, generated.source, {})
    names: dict[str, Any] = {KERNEL: kernel, TORCH: torch, UNITS: multiprocessors}

    def install(launch: Callable[..., None]) -> None:
        names[LAUNCH] = telling_autograd(launch, generated)

    if device.type == "cpu":
        install(_interpreted(generated))
    elif device.type == "meta":
        install(_refused)
    else:
        launcher = GpuLauncher(generated, install)
        install(launcher)
        function.straight = functools.partial(_straight, generated, function, launcher)  # type: ignore[attr-defined]
    function.__kwdefaults__ = names
    return function


def _straight(
    generated: Generated, function: FunctionType, launcher: GpuLauncher, args: Sequence[Any], constants: Set[str]
) -> Callable[..., Any] | None:
    """What may be called instead of `function` for arguments just like `args`; see `straight`."""
    from .straight import straight_call

    if launcher.latest is None:
        return None
    return straight_call(generated, function, launcher.latest, args, constants)


def _refused(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
    """What a launch on tensors without data comes to."""
    raise exc.UnsupportedDevice(device=args[0].device)


def _interpreted(generated: Generated) -> Callable[..., None]:
    maker = Maker(generated.program, generated.descriptors)
    reaches_elsewhere = _reaches_elsewhere(generated.program)
    by_pointers: list[Callable[..., None]] = []

    def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        if not maker.fits(args):
            if not by_pointers:
                plain = generated.with_pointers()
                by_pointers.append(
                    functools.partial(_interpreted(plain), load_kernel(plain.kernel_source, plain.kernel_name))
                )
            by_pointers[0](grid, *args, **options)
            return
        from triton.runtime.errors import InterpreterError

        from .. import interpreter

        spans = None if reaches_elsewhere else bounds.spans_of(args)
        try:
            interpreter.run(kernel, grid, (*args, *maker(args)), spans)
        except InterpreterError as error:
            told = _told(generated, error)
            raise told from (None if isinstance(told, exc.OutsideOfTensors) else error)

    return launch


def _reaches_elsewhere(program: Program) -> bool:
    """Whether the kernel may use addresses that are not those of its tensors: given as numbers, or by Triton code."""
    return any(
        isinstance(op, (InlineTriton, CallTriton)) or (isinstance(op, Access) and op.base is not None)
        for op in program.ops()
    )


def _told(generated: Generated, error: InterpreterError) -> exc.Base:
    name, cause = generated.program.name, error.__cause__
    if isinstance(cause, bounds.OutsideOfTensors):
        line = _line(generated, cause.__traceback__)
        return exc.OutsideOfTensors(kernel=f"`{name}`", does=cause.does, where="all its tensors", location=line)
    return exc.KernelRunFailed(kernel=name, config=generated.config, reason=str(error))


def _line(generated: Generated, traceback: TracebackType | None) -> Location | None:
    """The user's line behind the line of generated code that `traceback` passes: that of the comment above it."""
    while traceback is not None and traceback.tb_frame.f_code.co_name != generated.kernel_name:
        traceback = traceback.tb_next
    if traceback is None:
        return None
    filename, number = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
    lines = {f"# {os.path.basename(op.line[0])}:{op.line[1]}:": op.line for op in generated.program.ops()}
    for text in reversed(linecache.getlines(filename)[:number]):
        found = next((line for tag, line in lines.items() if text.lstrip().startswith(tag)), None)
        if found is not None:
            line = linecache.getline(*found)
            return Location(*found, column=len(line) - len(line.lstrip()))
    return None


class GpuLauncher:
    """Launches one kernel through its compiled launcher, without Triton's own dispatch.

    The binary depends on the device, on which pointers are multiples of 16 bytes, and on which integers need 64 bits;
    each such variant is compiled once. Everything else is the same for all calls. The function written for a variant
    is handed to `install`, to be called in place of the launcher until it meets a launch of another variant.
    """

    def __init__(self, generated: Generated, install: Callable[[Callable[..., None]], None]) -> None:
        self._generated, self._install = generated, install
        self._tensors = len(generated.program.tensors)
        self._ints = [not s.is_float for s in generated.program.scalars]
        self._variants: dict[Any, tuple[Compiled, Callable[..., None] | None]] = {}
        self._maker = Maker(generated.program, generated.descriptors) if generated.descriptors else None
        self._by_pointers: Callable[..., None] | None = None
        self.latest: tuple[Shape, Compiled] | None = None  # of what was handed to `install`
        self._lock = Lock()

    def __call__(self, kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        tensors, numbers = args[: self._tensors], args[self._tensors :]
        if self._maker is not None and not self._maker.fits(args):
            self._without_descriptors()(kernel, grid, *args, **options)
            return
        pointers = [t.data_ptr() for t in tensors]
        values = [*pointers, *numbers, *(self._maker(args) if self._maker is not None else ())]
        aligned = tuple([p & 15 == 0 for p in pointers])
        wide = tuple([not fits_32_bits(n) if is_int else None for n, is_int in zip(numbers, self._ints, strict=True)])
        index = tensors[0].get_device()
        with on_device(index):
            shape = Shape(aligned, wide, len(grid), tuple(options))
            compiled, direct = self._variant(shape, tensors[0], values, options)
            if 0 not in grid:
                _launch(compiled, grid, values)
        if direct is not None:
            self.latest = shape, compiled
            self._install(direct)

    def _without_descriptors(self) -> Callable[..., None]:
        """Launches the same kernel written with pointers, which may start anywhere."""
        if self._by_pointers is None:
            self._by_pointers = GpuLauncher(self._generated.with_pointers(), self._install_by_pointers)
        return self._by_pointers

    def _install_by_pointers(self, launch: Callable[..., None]) -> None:
        self._by_pointers = launch

    def _variant(
        self, shape: Shape, like: torch.Tensor, values: list[Any], options: Any
    ) -> tuple[Compiled, Callable[..., None] | None]:
        key = shape, like.get_device()
        found = self._variants.get(key)
        if found is None:
            with self._lock:
                found = self._variants.get(key)
                if found is None:
                    compiled = self._compile(shape, like, values, options)
                    found = self._variants[key] = compiled, launch_function(shape, compiled, self)
        return found

    def _compile(self, shape: Shape, like: torch.Tensor, values: list[Any], options: Any) -> Compiled:
        generated = self._generated
        program = generated.program
        refuse_in_capture(program.name, "compiles it")
        types = signature(generated, values[self._tensors : self._tensors + len(program.scalars)])
        target = device_target(like.device)
        assert target is not None
        try:
            compiled = compile_kernel(
                generated.kernel_source, generated.kernel_name, types, target, options, shape.aligned,
                modules.build if target.backend == "cuda" else None,
            )  # fmt: skip
            modules.built()
            run = compiled.run  # loads the binary
        except Exception as error:
            raise compile_error(error, program, target, generated.config) from error
        known = form_with_descriptors(run, len(types), self._maker) if self._maker is not None else form(run)
        return Compiled(
            run, compiled.function, compiled.packed_metadata, like.get_device(), compiled.launch_metadata, known
        )


def _launch(compiled: Compiled, grid: tuple[int, ...], values: list[Any]) -> None:
    """A launch through Triton's object, with the hooks that profilers set."""
    from triton.knobs import runtime

    x, y, z = (*grid, 1, 1)[:3]
    where = stream.current(compiled.index)
    enter, exit_ = runtime.launch_enter_hook, runtime.launch_exit_hook
    hooks: tuple[Any, ...] = (None, None, None)
    if getattr(enter, "calls", enter) or getattr(exit_, "calls", exit_):
        hooks = compiled.describe((x, y, z), where, *values), enter, exit_
    compiled.run(x, y, z, where, compiled.function, compiled.metadata, *hooks, *values)
