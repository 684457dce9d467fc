"""How many programs a multiprocessor holds at a time, from what the compiled kernel needs."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.binaries.compile import CompileFacts
from ..runtime.targets import Target
from .gpus import Gpu

_REGISTER_UNIT = 256  # registers of a warp come in multiples of this many, over its 32 lanes
_WAVE_UNIT = 8  # and those of a lane on AMD in multiples of this many


@dataclass(frozen=True)
class Occupancy:
    """`programs` a multiprocessor holds, limited by `limit`; `warps`: share of its warps in use;
    `waves`: rounds in which the grid's programs run on the whole GPU.
    """

    programs: int
    limit: str
    warps: float
    waves: float


def occupancy(facts: CompileFacts, num_warps: int, programs: int, target: Target, gpu: Gpu) -> Occupancy:
    """An estimate: threads of the system and other kernels are not known."""
    limits = {
        "warps": gpu.warps // num_warps,
        "blocks": gpu.blocks,
        "registers": _by_registers(facts.registers, num_warps, target, gpu),
        "shared memory": gpu.shared_memory // max(1, facts.shared_memory + gpu.reserved_shared_memory),
    }
    limit = min(limits, key=lambda name: limits[name])
    held = limits[limit]
    waves = programs / (held * gpu.multiprocessors) if held else float("inf")
    return Occupancy(held, limit, held * num_warps / gpu.warps, waves)


def _by_registers(registers: int, num_warps: int, target: Target, gpu: Gpu) -> int:
    if target.backend == "hip":
        lanes = gpu.registers // target.warp_size // 4  # registers a lane on each of four SIMDs
        wide = -(-max(1, registers) // _WAVE_UNIT) * _WAVE_UNIT
        return 4 * min(gpu.warps // 4, lanes // wide) // num_warps
    a_warp = -(-max(1, registers) * 32 // _REGISTER_UNIT) * _REGISTER_UNIT
    return gpu.registers // a_warp // num_warps
