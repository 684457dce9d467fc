"""Which keys a query sees, and in which runs of tiles the kernels go over them.

Query i sees key j if `i - left <= j <= i + right`; a negative `left` or `right` stands for no bound on that side. A
causal product has no `left` and `right` 0. A tile of queries goes over whole tiles of keys in three loops: tiles that
the left bound cuts, tiles that all of its queries see whole (these need no comparison), and the rest, which the
right bound or the end of the keys cuts. A tile of keys goes over tiles of queries alike, with left and right swapped.

All functions are inlined into kernels.
"""

from __future__ import annotations

from typing import Any

import torch

LAST_ROWS = 32768
"""Of the last heads: 512 programs, where an H100 has room for 396 at a time."""


def runs(
    first: Any, last: Any, left: int, right: int, count: Any, block: Any, edge: Any = None, late: bool = False
) -> list[tuple[Any, Any, bool]]:
    """The loops for the rows from `first` to `last` over columns 0 to `count`: begin, end, whether to compare.

    Loops that compare take steps of `edge`, which divides `block` and is `block` by default, the others of `block`.
    Begins and ends are multiples of that; the last tile may go beyond `count`. late: `count` is a multiple of `block`,
    and it is the first tile that may hold what are no columns. Where bounds are known to the compiler, the loop that
    does not compare comes first: if sums began in one that takes a single step, ptxas would wait after every product.
    """
    edge = block if edge is None else edge
    inside = count if right < 0 else max(min(count, last + right + 1), 0)
    tiles, end = ((inside if late and right < 0 else inside + step - 1) // step for step in (block, edge))
    whole = (count if right < 0 else max(min(count, first + right + 1), 0)) // block
    if left < 0 and not late:
        return [(0, whole * block, False), (whole * block, end * edge, True)]
    begin, cut = 0, int(late)
    if left >= 0:
        begin = min(max(first - left, 0) // edge, end)
        cut = max((max(last - left, 0) + block - 1) // block, cut)
    cut = min(cut, tiles)
    if late and right < 0:
        return [(begin * edge, cut * block, True), (cut * block, tiles * block, False)]
    rest = max(whole, cut)
    return [(cut * block, rest * block, False), (begin * edge, cut * block, True), (rest * block, end * edge, True)]


def extent(count: Any, right: int) -> Any:
    """How many rows to launch programs for: as `longest_first` needs it, a multiple of every block up to 256."""
    if right < 0:
        return count
    unit = min(256, 1 << max(count - 1, 15).bit_length())
    return (count + unit - 1) // unit * unit


def whole_tiles(count: Any) -> Any:
    """`count` rounded up to a multiple of every block up to 256."""
    return (count + 255) // 256 * 256


def longest_first(
    head: Any, tile: Any, heads: int, count: int, right: int, share: int = 1, columns: bool = False
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """What the program does that has `head` of `heads` and `tile` of `extent(count, right)`: a head, rows of it, the
    first and the last of them. columns: they are columns, which the first ones of the rows go over.

    Where the right bound lets later rows see more columns, programs begin with the last rows, or the first columns.
    Heads that are left for the end of the launch take turns: else a few long programs would begin when all others have
    ended. `share` heads (it divides `heads`) take turns throughout, so that many programs read the same at the same
    time.
    """
    if right < 0:
        return head, tile, tile.begin, tile.end - 1
    rows = extent(count, right)
    tiles = rows // tile.block_size
    turns = min(-(-LAST_ROWS // extent(count * share, right)) * share, heads)
    late = min(max(head - (heads - turns) + 1, 0), 1)
    at, turn = _in_turn(head, tile.id, tiles, head // share * share, share)
    late_at, late_turn = _in_turn(head, tile.id, tiles, heads - turns, turns)
    at, turn = at + late * (late_at - at), turn + late * (late_turn - turn)
    first = turn * tile.block_size if columns else rows - (turn + 1) * tile.block_size
    return at, tile + (first - tile.begin), first, min(first + tile.block_size, count) - 1


def _in_turn(head: Any, tile: Any, tiles: Any, group: Any, size: int) -> tuple[Any, Any]:
    """The head and the tile of a program where the `size` heads from `group` on take turns. A `size` that is known
    keeps the division cheap: it counts where programs take a microsecond or two.
    """
    number = (head - group) * tiles + tile
    return group + number % size, number // size


def hidden(rows: Any, columns: Any, left: int, right: int, inside: Any = None) -> Any:
    """What a tile of scores begins with: 0 where a row sees a column and `inside` (where given) holds, -inf elsewhere.

    rows [r, 1] and columns [1, c], or transposed. None where everything is seen. The product is added to it: compared
    with scores that are replaced afterwards, this takes 20 registers less and happens while operands are on their way.
    As in torch's own definition, which adds such a mask, a NaN is not hidden.
    """
    found = inside
    if right >= 0:
        below = columns <= rows + right
        found = below if found is None else found & below
    if left >= 0:
        above = columns >= rows - left
        found = above if found is None else found & above
    return None if found is None else torch.where(found, 0.0, float("-inf"))
