"""All that is known of a kernel under one config without running it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..lower.layout import Layout
from ..runtime.binaries.compile import CompileFacts
from ..runtime.targets import Target
from .gpus import Gpu, gpu_for
from .host import run_host
from .occupancy import Occupancy, occupancy
from .roofline import Roofline, roofline
from .work import Work, count

if TYPE_CHECKING:
    from ..runtime.bound import BoundKernel


@dataclass(frozen=True)
class Report:
    """One kernel on one target under one config. Without figures for the target, `gpu` and what needs it are None."""

    kernel: str
    target: str
    config: Config
    program: str
    space: str
    code: str
    facts: CompileFacts
    grid: tuple[int, ...]
    work: Work
    gpu: Gpu | None
    roofline: Roofline | None
    occupancy: Occupancy | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; times in seconds, sizes in bytes."""
        found: dict[str, Any] = {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if self.roofline is not None:
            found["roofline"] |= {"seconds": self.roofline.seconds, "bound": self.roofline.bound}
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def report(bound: BoundKernel, args: Sequence[Any], target: Target, config: Any = None) -> Report:
    """Compiles and counts. `args`: those that `bound` was bound to, data not needed; `config`: default if None.

    Raises `InvalidConfig`, `CompilationFailed`, and what the kernel's host code raises.
    """
    generated = bound.generate(config, target)
    facts = bound.compile_for(target, generated.config)
    gpu = gpu_for(target.name)
    unlaunched = run_host(generated, args, gpu.multiprocessors if gpu else 1)
    program = generated.program
    traced = bound.traced_for(generated.config)
    space = dict(zip(traced.parameters, args, strict=True))
    numbers = {symbol: eval(source, {}, space) for symbol, source in traced.symbols.items()}
    sizes = dict(zip(program.blocks, generated.config.get("block_sizes", ()), strict=True))
    work = count(program, Layout(program, sizes), numbers)
    return Report(
        bound.kernel.name, target.name, generated.config, str(program), str(bound.spec_for(target)),
        generated.module_text(), facts, unlaunched.grid, work, gpu, roofline(work, gpu) if gpu else None,
        occupancy(facts, generated.config["num_warps"], math.prod(unlaunched.grid), target, gpu) if gpu else None,
    )  # fmt: skip
