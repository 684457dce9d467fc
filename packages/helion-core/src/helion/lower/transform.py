"""What a config changes about the program itself, before anything is written."""

from __future__ import annotations

from ..config import Config
from ..ir import Program
from .rolling import roll_all, rollable


def transformed(program: Program, config: Config) -> Program:
    """`program` as `config` wants it computed: reductions rolled into loops."""
    loops = config.get("reduction_loops", ())
    if any(width is not None for width in loops):
        program = roll_all(program, dict(zip(rollable(program), loops, strict=True)))
    return program
