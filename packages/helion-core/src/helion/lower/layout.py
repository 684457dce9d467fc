"""How sizes look on the device for one config: concrete lanes, printable names, which masks are needed."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from ..ir import BlockSize, Program, Range, Size, Value

INT32_MAX = 2**31 - 1


def next_power_of_two(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


class Layout:
    """Sizes of a program under chosen block sizes. `physical` pads to powers of two, as Triton demands."""

    def __init__(self, program: Program, block_sizes: Mapping[BlockSize, int]) -> None:
        self.program = program
        self.block_sizes = block_sizes
        self._values = {block.symbol: sympy.Integer(size) for block, size in block_sizes.items()}
        self._physical: dict[Size, int] = {}
        self._active: dict[Range, bool] = {}

    def number(self, size: Size) -> int | None:
        """`size` as a number, where it depends on block sizes only."""
        if isinstance(size, int):
            return size
        known = size.xreplace(self._values)
        return int(known) if known.is_Integer else None

    def physical(self, size: Size) -> int:
        """Lanes that a dimension of `size` takes on the device."""
        found = self._physical.get(size)
        if found is None:
            number = self.number(size)
            assert number is not None, f"the size {size} is not known on the device"
            if isinstance(size, int):
                number = max(number, self.program.min_lanes.get(size, 0))
            found = self._physical[size] = next_power_of_two(number)
        return found

    def physical_shape(self, value: Value) -> list[int]:
        return [self.physical(dim.size) for dim in value.dims]

    def needs_mask(self, r: Range) -> bool:
        """Whether some lane of the range may lie outside it."""
        found = self._active.get(r)
        if found is None:
            found = self._active[r] = self._compute_needs_mask(r)
        return found

    def _compute_needs_mask(self, r: Range) -> bool:
        if r.scalar:
            return False
        if r.part_of is not None:
            return self.needs_mask(r.part_of)
        if r.full:
            return self.physical(r.width) != self.number(r.end)
        length, width = self.number(_difference(r.end, r.begin)), self.number(r.width)
        assert width is not None
        if width == 1 and not r.extra_ends:
            return False  # a loop has no empty tiles
        return next_power_of_two(width) != width or length is None or length % width != 0

    def is_huge(self, r: Range) -> bool:
        """Whether indices of the range, or of the lanes behind its end, exceed 32 bits."""
        end, width = self.number(r.end), self.number(r.width)
        return end is not None and end + (width or 0) > INT32_MAX

    def active(self, ranges: frozenset[Range]) -> frozenset[Range]:
        """Those ranges whose masks are needed."""
        return frozenset(r for r in ranges if self.needs_mask(r))


def tiles_of(r: Range, layout: Layout) -> int | None:
    """How many tiles the range has, where that is known."""
    begin, end, width = (layout.number(s) for s in (r.begin, r.end, r.width))
    if begin is None or end is None or width is None:
        return None
    return max(0, -((begin - end) // width))


def _difference(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    result = sympy.expand(sympy.sympify(a) - sympy.sympify(b))
    return int(result) if result.is_Integer else result
