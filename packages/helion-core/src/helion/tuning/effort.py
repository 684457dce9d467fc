"""How long a search takes, by effort and by what the kernel does."""

from __future__ import annotations

from helion_autotune import Budget

from .. import ir
from ..ir import Program
from ..settings import Settings

# Seconds of search for kernels with no matrix product, with one, with several: a kernel that only moves memory has few
# settings that matter, chained products have many and take long to compile.
SECONDS = {"quick": (5.0, 12.0, 20.0), "full": (8.0, 25.0, 60.0)}
CONFIGS = {"quick": 120, "full": 2000}


def budget(settings: Settings, program: Program) -> Budget:
    """What a search may spend; `autotune_budget_seconds` has the last word on the time."""
    name = settings.autotune_effort if settings.autotune_effort in SECONDS else "full"
    products = sum(isinstance(op, (ir.Dot, ir.DotScaled)) for op in program.ops())
    seconds = SECONDS[name][min(products, 2)]
    if settings.autotune_budget_seconds is not None:
        seconds = settings.autotune_budget_seconds
    return Budget(seconds=seconds, configs=CONFIGS[name])
