"""From program ids to tiles: one tile a program, by one or by three grid axes, or many tiles for programs that persist."""

from __future__ import annotations

from ..ir import Program
from ..lower.grid import Persistence, axes, persistence
from . import loops
from .kernel import KernelEmitter


def emit_programs(program: Program, k: KernelEmitter) -> None:
    """The whole body of the kernel, for phases that run at the same time."""
    k.start()
    persistent = persistence(k.config)
    dims = axes(program, k.layout, k.config)
    if persistent is not None:
        _emit_persistent(program, persistent, k)
    elif dims is not None:
        (phase,) = program.phases
        pids = {phase.ranges[d]: f"tl.program_id({axis})" for axis, d in enumerate(dims)}
        loops.emit_tiles(phase, pids, k)
    else:
        loops.emit_side_by_side(program.phases, k.let("pid", "tl.program_id(0)"), k)


def _emit_persistent(program: Program, how: Persistence, k: KernelEmitter) -> None:
    """A loop over virtual program ids: neighbouring ones where `blocked`, else as far apart as there are programs."""
    total = k.let("total", " + ".join(loops.program_count(phase, k) for phase in program.phases))
    pid = k.names.fresh("pid")
    if how.blocked:
        share = k.let("share", f"tl.cdiv({total}, tl.num_programs(0))")
        first = k.let("first_pid", f"tl.program_id(0) * {share}")
        bounds = f"{first}, tl.minimum({first} + {share}, {total})"
    else:
        bounds = f"tl.program_id(0), {total}, tl.num_programs(0)"
    k.write(f"for {pid} in tl.range({bounds}):")
    with k.indented():
        loops.emit_side_by_side(program.phases, pid, k)
