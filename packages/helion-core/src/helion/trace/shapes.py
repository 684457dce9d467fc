"""Shape rules of device values: broadcasting, reshaping, dimension numbers. Our own, because sizes are symbolic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy
from torch.utils._sympy.functions import Min

from .. import exc, location
from ..frontend import engine
from ..ir import Dim, Size

Namer = Callable[[Size], str]


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are equal for every config, and every input of this trace."""
    if _same_for_all(a, b):
        return True
    env = getattr(engine.current(), "env", None)
    return env is not None and env.same(a, b)


def _same_for_all(a: Size, b: Size) -> bool:
    """Whether two sizes are equal for every config and every input."""
    if a is b or a == b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return False
    return sympy.expand(sympy.sympify(a) - sympy.sympify(b)) == 0


def is_one(size: Size) -> bool:
    return isinstance(size, (int, sympy.Integer)) and size == 1


def product(sizes: Sequence[Size]) -> Size:
    result: Size = 1
    for size in sizes:
        result = result * size
    return int(result) if isinstance(result, sympy.Integer) else result


def dim_extent(dim: Dim) -> Size:
    """How many elements of a dimension are there: a partial tile has those inside its range."""
    tiles = [r for r in dim.ranges if not r.full and not r.scalar]
    if len(tiles) != 1:
        return dim.size
    (r,) = tiles
    return Min(dim.size, r.end - r.base)


def show(sizes: Sequence[Size], name: Namer) -> str:
    return "[" + ", ".join(map(name, sizes)) + "]"


def broadcast(op: str, operands: Sequence[tuple[Dim, ...]], name: Namer) -> tuple[Dim, ...]:
    """The dims of an elementwise result. Raises `ShapeMismatch` naming the sizes and the dimension."""
    rank = max((len(dims) for dims in operands), default=0)
    result: list[Dim] = []
    for k in range(rank):
        merged = Dim(1)
        for dims in operands:
            at = k - (rank - len(dims))
            if at >= 0:
                merged = _merge(op, merged, dims[at], operands, k, name)
        result.append(merged)
    return tuple(result)


def _merge(op: str, a: Dim, b: Dim, operands: Sequence[tuple[Dim, ...]], k: int, name: Namer) -> Dim:
    if _same_for_all(a.size, b.size):
        return a if a.ranges == b.ranges else Dim(a.size, a.ranges | b.ranges)
    if is_one(a.size):
        return b
    if is_one(b.size):
        return a
    if same(a.size, b.size):
        return Dim(a.size, a.ranges | b.ranges)
    shapes = [show([d.size for d in dims], name) for dims in operands if dims]
    raise exc.ShapeMismatch(
        op=op, left=shapes[0], right=" and ".join(shapes[1:]), relation="broadcast",
        detail=f": size {name(a.size)} against {name(b.size)} in dimension {k}",
        help="keep the reduced dimension (keepdim=True), or add one with [:, None]", location=location.here(),
    )  # fmt: skip


def dimensions(rank: int) -> str:
    return "1 dimension" if rank == 1 else f"{rank} dimensions"


def dim_number(dim: int, rank: int, op: str) -> int:
    """`dim` counted from 0. Raises `DimensionOutOfRange`."""
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise exc.DimensionOutOfRange(op=op, dim=dim, rank=dimensions(rank), low=-limit, high=limit - 1)
    return dim % limit


def infer_size(sizes: Sequence[Size], total: Size, op: str, source: str, name: Namer) -> list[Size]:
    """`sizes` with the -1 among them replaced by what is left of `total`. Raises `ShapeMismatch`."""
    unknown = [k for k, size in enumerate(sizes) if isinstance(size, (int, sympy.Integer)) and size == -1]
    result = list(sizes)
    if len(unknown) == 1:
        known = product([s for k, s in enumerate(sizes) if k != unknown[0]])
        result[unknown[0]] = divide(total, known)
    if len(unknown) > 1 or not same(product(result), total):
        raise exc.ShapeMismatch(
            op=op, left=source, right=show(sizes, name), relation="hold the same number of elements", detail="",
            help="the product of the sizes must stay the same", location=location.here(),
        )  # fmt: skip
    return result


def divide(a: Size, b: Size) -> Size:
    """a / b, where b is expected to divide a; a block size is a power of two, so small powers divide it."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    quotient = sympy.cancel(sympy.sympify(a) / sympy.sympify(b))
    return int(quotient) if quotient.is_Integer else quotient


def group_reshape(source: Sequence[Size], target: Sequence[Size]) -> list[tuple[list[int], list[int]]] | None:
    """Splits a reshape into groups (source dims, target dims) of equal product, each as short as possible.

    Size-1 dims belong to no group. None where no grouping exists.
    """
    left = [k for k, size in enumerate(source) if not is_one(size)]
    right = [k for k, size in enumerate(target) if not is_one(size)]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, second = i, j
        a, b = source[left[i]], target[right[j]]
        i, j = i + 1, j + 1
        while not same(a, b):
            if _divides(a, b) and i < len(left):
                a, i = product([a, source[left[i]]]), i + 1
            elif j < len(right):
                b, j = product([b, target[right[j]]]), j + 1
            else:
                return None
        groups.append((left[first:i], right[second:j]))
    return groups if i == len(left) and j == len(right) else None


def _divides(a: Size, b: Size) -> bool:
    """Whether b is a larger multiple of a, so that more source dims are to be multiplied to a."""
    if isinstance(a, int) and isinstance(b, int):
        return a < b
    return sympy.cancel(sympy.sympify(b) / sympy.sympify(a)).as_numer_denom()[1] == 1
