"""What a config changes about the program itself, before anything is written."""

from __future__ import annotations

from ..config import Config
from ..ir import For, Program
from .flatten import can_flatten, flatten
from .interchange import interchanged
from .layout import Layout
from .rolling import roll_all, rollable
from .structure import multi_dim_loops
from .subtile import subtile


def transformed(program: Program, config: Config) -> tuple[Program, Config]:
    """`program` as `config` wants it computed, and what of `config` is then left to say about its grids."""
    loops = config.get("reduction_loops", ())
    entries = zip(multi_dim_loops(program), config.get("loop_orders", ()), strict=True)
    lowered = interchanged(program, {loop: order for loop, order in entries if isinstance(loop, For)})
    if any(width is not None for width in loops):
        lowered = roll_all(lowered, dict(zip(rollable(program), loops, strict=True)))
    if config.get("epilogue_subtile"):
        layout = Layout(program, dict(zip(program.blocks, config["block_sizes"], strict=True)))
        lowered = subtile(lowered, config["epilogue_subtile"], layout)
    if any(config.get("flatten_loops", ())):
        return _flattened(lowered, config)
    return lowered, config


def _flattened(program: Program, config: Config) -> tuple[Program, Config]:
    """Loops flattened where that is asked for; the lists that count multi-dimensional grids lose their entries."""
    grids = [phase for phase in program.phases if len(phase.ranges) > 1]
    entries = multi_dim_loops(program)
    orders, groupings = list(config["loop_orders"]), list(config["l2_groupings"])
    for at, (phase, wanted) in reversed(list(enumerate(zip(grids, config["flatten_loops"], strict=True)))):
        if wanted and can_flatten(program, phase):
            program = flatten(program, phase)
            del orders[entries.index(phase)], groupings[at]
    return program, config.replace(loop_orders=orders, l2_groupings=groupings)
