"""How sizes look on the device for one config: concrete lanes, printable names, which masks are needed."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from torch.utils._sympy.functions import FloorDiv, Max, Min

from ..ir import BlockSize, Program, Range, Size, Value, is_wide

INT32_MAX = 2**31 - 1


def next_power_of_two(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


class Layout:
    """Sizes of a program under chosen block sizes. `physical` pads to powers of two, as Triton demands."""

    def __init__(self, program: Program, block_sizes: Mapping[BlockSize, int]) -> None:
        self.program = program
        self.block_sizes = block_sizes
        self._values = {block.symbol: sympy.Integer(size) for block, size in block_sizes.items()}
        self._put_in: dict[Size, Size] = {}
        self._physical: dict[Size, int] = {}
        self._active: dict[Range, bool] = {}

    def number(self, size: Size) -> int | None:
        """`size` as a number, where it depends on block sizes only."""
        known = self._known(size)
        return known if isinstance(known, int) else None

    def _known(self, size: Size) -> Size:
        """`size` with the block sizes put in."""
        if isinstance(size, int):
            return size
        found = self._put_in.get(size)
        if found is None:
            known = size.xreplace(self._values)
            found = self._put_in[size] = int(known) if known.is_Integer else known
        return found

    def physical(self, size: Size) -> int:
        """Lanes that a dimension of `size` takes on the device."""
        found = self._physical.get(size)
        if found is None:
            number = self.program.padded.get(size, self.number(size))
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
        width = self.number(r.width)
        assert width is not None
        lanes = self.physical(r.width)  # of a fixed width, a product may want more
        if lanes == 1 and not r.extra_ends:
            return False  # a loop has no empty tiles
        return lanes != width or not self._is_multiple(_difference(r.end, r.begin), width)

    def _is_multiple(self, size: Size, width: int) -> bool:
        """Whether `size` is a multiple of `width`, also where it is known on the device only (`n // width * width`)."""
        known = self._known(size)
        return known % width == 0 if isinstance(known, int) else sympy.Mod(known, width) == 0

    def at_most(self, size: Size, bound: Size) -> bool:
        """Whether `size` is known never to exceed `bound`, a size of a tensor."""
        return _at_most(self._known(size), self._known(bound))

    def begins_below(self, r: Range, offset: Size) -> bool:
        """Whether indices of the range, `offset` further on, may be negative. A begin that only the device knows is
        taken not to be.
        """
        known = offset == 0 and not isinstance(r.begin, int)
        return not known and not self.at_most(-offset, r.begin)

    def is_huge(self, r: Range) -> bool:
        """Whether indices of the range, or of the lanes behind its end, exceed 32 bits."""
        end, width = self.number(r.end), self.number(r.width)
        if end is None:
            sizes = (size for tensor in self.program.tensors for size in tensor.sizes)
            return self.program.wide or any(isinstance(size, int) and size > INT32_MAX for size in sizes)
        return end + (width or 0) > INT32_MAX

    def is_wide(self, r: Range) -> bool:
        """Whether a loop over the range counts in 64 bits, because its bounds have as many."""
        return any(is_wide(bound, self.program.symbols) for bound in (r.begin, r.end))

    def active(self, ranges: frozenset[Range]) -> frozenset[Range]:
        """Those ranges whose masks are needed."""
        return frozenset(r for r in ranges if self.needs_mask(r))


def tiles_of(r: Range, layout: Layout) -> int | None:
    """How many tiles the range has, where that is known."""
    begin, end, width = (layout.number(s) for s in (r.begin, r.end, r.width))
    if begin is None or end is None or width is None:
        return None
    return max(0, -((begin - end) // width))


def _at_most(size: Size, bound: Size) -> bool:
    if size == bound:
        return True
    if isinstance(bound, int):
        most = _most(size)
        if most is not None and most <= bound:
            return True
    if isinstance(size, int):
        return False
    if isinstance(size, (sympy.Min, Min)):
        return any(_at_most(_as_size(arg), bound) for arg in size.args)
    if isinstance(size, (sympy.Max, Max)):
        return all(_at_most(_as_size(arg), bound) for arg in size.args)
    if isinstance(size, sympy.Mul) and len(size.args) == 2:  # x // width * width; where x is negative, so is this
        width, quotient = size.args
        if isinstance(quotient, FloorDiv) and width == quotient.args[1] and width.is_positive:
            return _at_most(_as_size(quotient.args[0]), bound)
    return False


def _most(size: Size | sympy.Basic) -> int | None:
    """A number that `size` is known never to exceed."""
    if isinstance(size, (int, sympy.Integer)):
        return int(size)
    if isinstance(size, FloorDiv) and isinstance(size.args[1], sympy.Integer) and size.args[1] > 0:
        most = _most(size.args[0])
        return None if most is None else most // int(size.args[1])
    if isinstance(size, sympy.Mul) and len(size.args) == 2 and isinstance(size.args[0], sympy.Integer):
        most = _most(size.args[1]) if size.args[0] > 0 else None
        return None if most is None else most * int(size.args[0])
    if not isinstance(size, (sympy.Min, Min, sympy.Max, Max, sympy.Add)):
        return None
    found = [_most(arg) for arg in size.args]
    known = [most for most in found if most is not None]
    if isinstance(size, (sympy.Min, Min)):
        return min(known, default=None)
    if len(known) < len(found):
        return None
    return max(known) if isinstance(size, (sympy.Max, Max)) else sum(known)


def _as_size(value: sympy.Basic) -> Size:
    return int(value) if isinstance(value, sympy.Integer) else value  # type: ignore[return-value]


def _difference(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    result = sympy.expand(sympy.sympify(a) - sympy.sympify(b))
    return int(result) if result.is_Integer else result
