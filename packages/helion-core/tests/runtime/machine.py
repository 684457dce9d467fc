"""A machine with a GPU that is not there: what is compiled, and what launches are given, on tensors of the CPU."""

from types import SimpleNamespace
from typing import Any

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


class World:
    """Compilations and launches of a machine that is not there."""

    def __init__(self, make):
        self.direct, self.plain, self.compiled = Recorder(), [], []
        self.kind: Any = make(self)
        self.kind.__module__ = "triton.backends.nvidia.driver"
        self.device = INDEX
        self.is_packed = make is packed

    def compile_kernel(self, text, name, types, target, options, aligned):
        world, number = self, len(self.compiled)
        self.compiled.append((types, aligned))

        class Compiled:
            run = world.kind()
            function, packed_metadata = 1000 + number, ("metadata", number)

            def launch_metadata(self, grid, stream, *args):
                return {"grid": grid, "stream": stream, "args": args}

        Compiled.run.launch = self.direct
        return Compiled()

    def arguments(self):
        """What the kernel was given at the last direct launch."""
        call = self.direct.calls[-1]
        return call[15] if self.is_packed else call[13:]
