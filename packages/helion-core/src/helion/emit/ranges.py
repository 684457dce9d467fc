"""The iterator of a device loop: `tl.range` with the options that the config asks for, or an unrolled
`tl.static_range`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..config import Config
from ..ir import For, Program
from ..lower.layout import Layout, tiles_of
from ..lower.structure import constant_loops, device_loops, multiplying_loops

MOST_UNROLLED = 16  # iterations; more are left to `tl.range`, since compile time grows with each

_ARGUMENTS = {
    "range_unroll_factors": "loop_unroll_factor", "range_num_stages": "num_stages",
    "range_multi_buffers": "disallow_acc_multi_buffer", "range_flattens": "flatten",
    "range_warp_specializes": "warp_specialize",
}  # fmt: skip


class LoopOptions:
    """What a config asks of each loop, by the loop's number."""

    def __init__(self, program: Program, config: Config) -> None:
        self._chosen: dict[tuple[str, int], Any] = {}
        loops = device_loops(program)
        for key in _ARGUMENTS:
            self._read(key, multiplying_loops(program) if key == "range_multi_buffers" else loops, config)
        self._read("static_ranges", constant_loops(program), config)

    def _read(self, key: str, loops: Iterable[For], config: Config) -> None:
        for loop, value in zip(loops, config.get(key, ()), strict=False):
            self._chosen[key, loop.number] = value

    def iterator(self, loop: For, bounds: str, layout: Layout) -> str:
        """The expression that the `for` statement iterates; `bounds` are its begin, end and step."""
        count = tiles_of(loop.range, layout)
        if self._chosen.get(("static_ranges", loop.number)) and count is not None and count <= MOST_UNROLLED:
            return f"tl.static_range({bounds})"
        arguments = [bounds]
        for key, argument in _ARGUMENTS.items():
            value = self._chosen.get((key, loop.number))
            if value:
                arguments.append(f"{argument}={value if key != 'range_multi_buffers' else False}")
            elif value is False:
                arguments.append(f"{argument}={key == 'range_multi_buffers'}")
        return f"tl.range({', '.join(arguments)})"
