"""From program ids to tiles: one tile a program, by one or by three grid axes, or many tiles for programs that
persist.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import ARRIVALS, Phase, Program
from ..lower.grid import Persistence, axes, persistence
from . import loops
from .kernel import KernelEmitter


def emit_programs(program: Program, k: KernelEmitter) -> None:
    """The whole body of the kernel, for phases that run at the same time."""
    k.start()
    persistent = persistence(k.config)
    dims = axes(program, k.layout, k.config)
    if program.stages > 1:
        assert persistent is not None, "programs that wait for each other persist"
        _emit_stages(program, persistent, k)
    elif persistent is not None:
        _emit_persistent(program.phases, persistent, k)
    elif dims is not None:
        (phase,) = program.phases
        pids = {phase.ranges[d]: f"tl.program_id({axis})" for axis, d in enumerate(dims)}
        loops.emit_tiles(phase, pids, k)
    else:
        loops.emit_side_by_side(program.phases, k.let("pid", "tl.program_id(0)"), k)


BARRIER = """@triton.jit
def _grid_barrier(arrivals):
    tl.debug_barrier()
    tl.atomic_add(arrivals, 1, sem="acq_rel", scope="gpu")
    arrived = tl.atomic_add(arrivals, 0, sem="acquire", scope="gpu")
    while arrived < tl.num_programs(0):
        arrived = tl.atomic_add(arrivals, 0, sem="acquire", scope="gpu")
    tl.debug_barrier()
"""


def _emit_stages(program: Program, how: Persistence, k: KernelEmitter) -> None:
    """One loop over virtual program ids per stage; all programs meet between two of them (the launch is
    cooperative).
    """
    k.helpers["_grid_barrier"] = BARRIER
    (arrivals,) = (name for tensor, name in k.tensors.items() if tensor.name == ARRIVALS)
    for stage in range(program.stages):
        if stage > 0:
            k.write(f"_grid_barrier({arrivals}{f' + {stage - 1}' if stage > 1 else ''})")
        phases = [phase for phase in program.phases if phase.stage == stage]
        if phases:
            with k.scope():
                _emit_persistent(phases, how, k)


def _emit_persistent(phases: Sequence[Phase], how: Persistence, k: KernelEmitter) -> None:
    """A loop over virtual program ids: neighbouring ones where `blocked`, else as far apart as there are programs."""
    total = k.let("total", " + ".join(loops.program_count(phase, k) for phase in phases))
    pid = k.names.fresh("pid")
    if how.blocked:
        share = k.let("share", f"tl.cdiv({total}, tl.num_programs(0))")
        first = k.let("first_pid", f"tl.program_id(0) * {share}")
        bounds = f"{first}, tl.minimum({first} + {share}, {total})"
    else:
        bounds = f"tl.program_id(0), {total}, tl.num_programs(0)"
    k.write(f"for {pid} in tl.range({bounds}):")
    with k.indented():
        loops.emit_side_by_side(phases, pid, k)
