"""A machine with a GPU that is not there: what is compiled, and what launches are given, on tensors of the CPU."""

from types import SimpleNamespace
from typing import Any

import triton

INDEX = -1  # what CPU tensors say of their device
GPU: Any = SimpleNamespace(type="cuda")


class Recorder:
    """What is called in C."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args)


def packed(launcher):
    """A launcher object as Triton 3.7 has it."""

    class CudaLauncher:
        global_scratch_size = profile_scratch_size = 0
        launch_cooperative_grid, launch_pdl = False, False
        arg_annotations, kernel_signature = ["annotations"], b"types"

        def __call__(
            self, gridX, gridY, gridZ, stream, function, kernel_metadata, launch_metadata, launch_enter_hook,
            launch_exit_hook, *args,
        ):  # fmt: skip
            launcher.plain.append((launch_metadata, launch_enter_hook, launch_exit_hook, args))

    return CudaLauncher


def unpacked(launcher):
    """As Triton 3.6 has it."""

    class CudaLauncher:
        global_scratch_size = profile_scratch_size = 0
        launch_cooperative_grid, launch_pdl = False, False

        def __call__(self, gridX, gridY, gridZ, stream, function, *args):
            launcher.plain.append((*args[1:4], args[4:]))

    return CudaLauncher


def taken_apart(descriptor, meta, encoder):
    """What Triton's launcher makes of a descriptor: for the TMA unit, or for a GPU without one."""
    if meta is None:
        return [descriptor.base, *descriptor.shape, *descriptor.strides, False, *descriptor.shape, *descriptor.strides]
    encode = getattr(triton.runtime.driver.active.utils, encoder)
    place = descriptor.base.data_ptr(), 3, meta["elem_size"], 10, meta["block_size"]
    return [encode(*place, descriptor.shape, descriptor.strides, 0), *descriptor.shape, *descriptor.strides]


def wrapped_packed(launcher, metas):
    """The function that takes descriptors apart, as Triton 3.7 has it."""

    def inner(*args):
        *base, values = args
        return launcher(*base, _expanded(values, metas, "fill_tma_descriptor_tiled"))

    return inner


def wrapped_unpacked(launcher, metas):
    """As Triton 3.6 has it."""

    def inner(*args):
        return launcher(*args[:13], *_expanded(args[13:], metas, "fill_tma_descriptor"))

    return inner


def _expanded(values, metas, encoder):
    plain = len(values) - len(metas)
    expanded = list(values[:plain])
    for value, meta in zip(values[plain:], metas, strict=True):
        expanded += taken_apart(value, meta, encoder)
    return expanded


class Encoders:
    """The driver's functions that make objects for the TMA unit. `made`: what of."""

    def __init__(self):
        self.made = []

    def fill_tma_descriptor(self, *of):
        self.made.append(("map", len(self.made), of))
        return self.made[-1]

    fill_tma_descriptor_tiled = fill_tma_descriptor


class World:
    """Compilations and launches of a machine that is not there."""

    def __init__(self, make):
        self.direct, self.plain, self.compiled = Recorder(), [], []
        self.encoders, self.has_tma = Encoders(), True
        self.wrap = wrapped_packed if make is packed else wrapped_unpacked
        self.kind: Any = make(self)
        self.kind.__module__ = "triton.backends.nvidia.driver"
        self.device = INDEX
        self.is_packed = make is packed

    def compile_kernel(self, text, name, types, target, options, aligned, meanwhile):
        world, number = self, len(self.compiled)
        self.compiled.append((types, aligned))

        class Compiled:
            run = world.kind()
            function, packed_metadata = 1000 + number, ("metadata", number)

            def launch_metadata(self, grid, stream, *args):
                return {"grid": grid, "stream": stream, "args": args}

        blocks = [list(map(int, t.partition("[")[2].rstrip("]>").split(","))) for t in types if "desc<" in t]
        metas = [{"elem_size": 2, "block_size": block} if self.has_tma else None for block in blocks]
        Compiled.run.launch = self.wrap(self.direct, metas) if blocks else self.direct
        return Compiled()

    def arguments(self):
        """What the kernel was given at the last direct launch."""
        call = self.direct.calls[-1]
        return call[15] if self.is_packed else call[13:]
