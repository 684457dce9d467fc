"""Launching: the host function with its launcher, on a GPU or in the interpreter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .. import exc
from ..lower.grid import INTERPRETER_UNITS
from .compile import compile_error, compile_kernel
from .descriptors import Maker
from .load import load_kernel
from .signature import fits_32_bits, signature
from .targets import device_target

if TYPE_CHECKING:
    from ..emit.module import Generated


def host_callable(generated: Generated, device: torch.device) -> Callable[..., Any]:
    """The user's host code with the launch in it, over the user's own globals and closure."""
    from ..emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS
    from ..frontend.build import compile_like

    kernel = load_kernel(generated.kernel_source, generated.kernel_name)
    function = compile_like(generated.host, generated.source, {})
    launcher = _interpreted(generated) if device.type == "cpu" else GpuLauncher(generated)
    function.__kwdefaults__ = {KERNEL: kernel, LAUNCH: launcher, TORCH: torch, UNITS: multiprocessors}
    return function


def _interpreted(generated: Generated) -> Callable[..., None]:
    maker = Maker(generated.program, generated.descriptors)

    def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        from triton.runtime.errors import InterpreterError

        from . import interpreter

        try:
            interpreter.run(kernel, grid, (*args, *maker(args)))
        except InterpreterError as error:
            raise exc.KernelRunFailed(
                kernel=generated.program.name, config=generated.config, reason=str(error)
            ) from error

    return launch


class GpuLauncher:
    """Launches one kernel through its compiled launcher, without Triton's own dispatch.

    The binary depends on the device, on which pointers are multiples of 16 bytes, and on which integers need 64 bits;
    each such variant is compiled once. Everything else is the same for all calls.
    """

    def __init__(self, generated: Generated) -> None:
        self._generated = generated
        self._tensors = len(generated.program.tensors)
        self._ints = [k for k, s in enumerate(generated.program.scalars, self._tensors) if not s.is_float]
        self._variants: dict[Any, Any] = {}
        self._maker = Maker(generated.program, generated.descriptors) if generated.descriptors else None
        self._unaligned: GpuLauncher | None = None

    def __call__(self, kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        values = list(args)
        bits = 0
        for k in range(self._tensors):
            values[k] = pointer = args[k].data_ptr()
            bits |= pointer
        index = args[0].get_device()
        if self._maker is not None:
            if not self._maker.fits(args):
                self._without_descriptors()(kernel, grid, *args, **options)
                return
            values += self._maker(args)
        key: Any = index
        if bits & 15 or self._ints:
            aligned = (v & 15 == 0 for v in values[: self._tensors])
            key = (index, *aligned, *(fits_32_bits(values[k]) for k in self._ints))
        variant = self._variants.get(key)
        if variant is None or index != current_device():
            with torch.cuda.device(index):
                self._launch(self._variant(key, values, options), grid, index, values)
        else:
            self._launch(variant, grid, index, values)

    def _without_descriptors(self) -> GpuLauncher:
        """Launches the same kernel written with pointers, which may start anywhere."""
        if self._unaligned is None:
            self._unaligned = GpuLauncher(self._generated.with_pointers())
        return self._unaligned

    def _launch(self, variant: Any, grid: tuple[int, ...], index: int, values: list[Any]) -> None:
        if 0 in grid:
            return
        x, y, z = grid if len(grid) == 3 else (*grid, 1, 1)[:3]
        run, function, metadata = variant
        run(x, y, z, current_stream(index), function, metadata, None, None, None, *values)

    def _variant(self, key: Any, values: list[Any], options: Any) -> Any:
        found = self._variants.get(key)
        if found is None:
            found = self._variants[key] = self._compile(values, options)
        return found

    def _compile(self, values: list[Any], options: Any) -> Any:
        generated = self._generated
        program = generated.program
        pointers = values[: self._tensors]
        types = signature(generated, values[self._tensors : self._tensors + len(program.scalars)])
        target = device_target(torch.device("cuda", torch.cuda.current_device()))
        assert target is not None
        aligned = [p % 16 == 0 for p in pointers]
        try:
            compiled = compile_kernel(generated.kernel_source, generated.kernel_name, types, target, options, aligned)
            run = compiled.run  # loads the binary
        except Exception as error:
            raise compile_error(error, program.name, target.name, generated.config) from error
        return run, compiled.function, compiled.packed_metadata


def multiprocessors(tensor: torch.Tensor) -> int:
    """How many multiprocessors the device of `tensor` has; a constant for the interpreter."""
    return _multiprocessors(tensor.get_device()) if tensor.is_cuda else INTERPRETER_UNITS


@functools.cache
def _multiprocessors(index: int) -> int:
    return int(torch.cuda.get_device_properties(index).multi_processor_count)


def current_device() -> int:
    """Index of the current CUDA device."""
    return torch._C._cuda_getDevice()


def current_stream(index: int) -> int:
    """Handle of the current stream of a CUDA device."""
    return torch._C._cuda_getCurrentRawStream(index)
