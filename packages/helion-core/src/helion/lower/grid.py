"""How the tiles of the outermost loops are spread over programs."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..ir import Phase, Program
from .layout import Layout, tiles_of
from .structure import multi_dim_loops

MAX_YZ = 65535  # programs along the y and z dimensions of a grid
INTERPRETER_UNITS = 4  # multiprocessors of the interpreter


@dataclass(frozen=True)
class Persistence:
    """Programs that take tile after tile: as many as multiprocessors, less `reserved`, times `multiplier`."""

    blocked: bool
    multiplier: int
    reserved: int = 0


def persistence(config: Config, reserved: int = 0) -> Persistence | None:
    """How programs persist under `config`; None where each does one tile."""
    kind = config.get("pid_type", "flat")
    if not kind.startswith("persistent"):
        return None
    return Persistence(kind == "persistent_blocked", config.get("num_sm_multiplier", 1), reserved)


def grouping(program: Program, phase: Phase, config: Config) -> tuple[tuple[int, ...], int]:
    """(dims of the grid, slowest first; rows of an L2 group) of a phase."""
    grids = [p for p in program.phases if len(p.ranges) > 1]
    if phase not in grids:
        return (0,), 1
    order = config["loop_orders"][multi_dim_loops(program).index(phase)]
    return order, config["l2_groupings"][grids.index(phase)]


def axes(program: Program, layout: Layout, config: Config) -> list[int] | None:
    """The dim of the only phase that each axis (x, y, z) of the grid counts, or None where one axis counts all
    tiles.
    """
    if config.get("pid_type") != "xyz" or len(program.phases) != 1:
        return None
    (phase,) = program.phases
    order, group = grouping(program, phase, config)
    if group > 1 or not 1 < len(order) <= 3:
        return None
    result = list(reversed(order))  # x varies fastest
    counts = [tiles_of(phase.ranges[d], layout) for d in result[1:]]
    return result if all(n is not None and n <= MAX_YZ for n in counts) else None
