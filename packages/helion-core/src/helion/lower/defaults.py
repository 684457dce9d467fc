"""The config to use when nobody tunes, and ranked starting points for a search: tables of rules, each with its reason.

The first rule that matches a program and its target gives the plan; the plan is then shrunk until it fits the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from ..ir import BlockSize, Dot, For, Load, Program, Store
from .access import choices
from .layout import Layout, next_power_of_two
from .limits import fits, largest_value, most_warps
from .rolling import roll_all, rollable
from .target import Target
from .traits import Product, Traits

POINTER, DESCRIPTOR = "pointer", "tensor_descriptor"
FLAT, PERSISTENT = "flat", "persistent_interleaved"


@dataclass(frozen=True)
class Plan:
    """What the rules decide; everything else keeps the default of its key."""

    block_sizes: dict[BlockSize, int] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 2
    l2_grouping: int = 1
    indexing: str = POINTER
    reduction_loop: int | None = None
    reason: str = ""
    pid_type: str = FLAT

    def halved(self, block: BlockSize) -> Plan:
        return replace(self, block_sizes={**self.block_sizes, block: self.block_sizes[block] // 2})


# --- targets


_FAMILIES = {75: "sm_80", 80: "sm_80", 86: "sm_86", 87: "sm_80", 89: "sm_86", 90: "sm_90", 100: "sm_100", 103: "sm_100",
             110: "sm_100", 120: "sm_86", 121: "sm_86"}  # fmt: skip
_UNITS = {"sm_80": 108, "sm_86": 84, "sm_90": 132, "sm_100": 148, "hip": 304, "": 64}  # multiprocessors


def family(target: Target | None) -> str:
    """Targets that share rules; the empty text where none is known."""
    if target is None:
        return ""
    return "hip" if target.backend == "hip" else _FAMILIES.get(int(target.arch), "sm_90")


# --- matrix products


@dataclass(frozen=True)
class Tile:
    """A tile of a matrix product: rows x columns x bytes of depth. `rows` and `columns` are cut to the problem.

    speed: elements of the result in a given time while all multiprocessors work, as a share of what the target's
    fastest tile computes; None where that was not measured. By it, more waves of smaller tiles are compared with fewer
    of large ones, of which the last leaves most multiprocessors idle. docs/decisions/018 has the measurements.
    speed_along: of how many operands, the left one first, neighbours in memory have to lie along the depth for that.
    """

    rows: int
    columns: int
    depth_bytes: int
    num_warps: int
    num_stages: int
    l2_grouping: int
    indexing: str
    reason: str
    pid_type: str = FLAT
    speed: float | None = None
    speed_along: int = 0

    @property
    def area(self) -> int:
        return self.rows * self.columns


# Largest first: a tile is taken if it leaves at least three quarters of the multiprocessors with work (of two as large,
# the first). Where speeds were measured, a later one is taken if by them it is done before; so is an earlier one.
MATMUL_TILES: dict[str, tuple[Tile, ...]] = {
    "sm_90": (
        Tile(128, 256, 128, 8, 3, 16, DESCRIPTOR,
             "two warp groups of wgmma 64x256, three stages of 48 KiB and room for the epilogue of the tile before; "
             "measured on an H100: 0.99 of cuBLAS, 0.96 where each program does one tile",
             PERSISTENT, speed=1.0),
        Tile(128, 128, 128, 8, 6, 16, DESCRIPTOR,
             "half the tile where the large one leaves multiprocessors idle; measured on an H100: 0.84 to 0.89 of its "
             "speed; six stages of 32 KiB, fewer where a float32 result leaves no room for them",
             speed=0.86, speed_along=2),
        Tile(64, 256, 128, 4, 4, 16, DESCRIPTOR,
             "half the tile where the last wave of large ones leaves multiprocessors idle, by one warp group of wgmma "
             "64x256; measured on an H100: 0.88 to 0.91 of its speed",
             PERSISTENT, speed=0.89, speed_along=1),
        Tile(64, 128, 128, 4, 5, 8, DESCRIPTOR, "one warp group, more programs"),
        Tile(64, 64, 128, 4, 5, 4, DESCRIPTOR, "small problems: latency counts, so many stages"),
    ),
    "sm_100": (
        Tile(128, 256, 128, 8, 3, 8, DESCRIPTOR, "one tcgen05 accumulator of 128x256 in tensor memory"),
        Tile(128, 128, 128, 4, 4, 8, DESCRIPTOR, "half the tile for more programs"),
        Tile(64, 64, 128, 4, 4, 4, DESCRIPTOR, "small problems"),
    ),
    "sm_80": (
        Tile(128, 256, 128, 8, 3, 8, POINTER, "three stages of cp.async are two buffers, 96 of 163 KiB"),
        Tile(128, 128, 64, 4, 4, 8, POINTER, "four warps of 64x64 each"),
        Tile(64, 64, 64, 4, 4, 4, POINTER, "small problems"),
    ),
    "sm_86": (
        Tile(128, 128, 64, 4, 3, 8, POINTER, "three stages fit 99 KiB twice"),
        Tile(64, 64, 64, 4, 4, 4, POINTER, "small problems"),
    ),
    "hip": (
        Tile(128, 128, 128, 8, 2, 4, POINTER, "two stages need one buffer of 32 of 64 KiB"),
        Tile(64, 64, 128, 4, 2, 4, POINTER, "small problems"),
    ),
    "": (Tile(64, 64, 64, 4, 2, 1, POINTER, "fits every target for every dtype, two stages deep"),),
}  # fmt: skip

WORTHWHILE = 1.05  # times as long as another tile: speeds as measured differ by as much from product to product
LINE = 128  # bytes, of which rows were whole numbers apart where speeds were measured
LEAST_STEPS = 16  # of the loop; in shorter ones (16 to 96 were measured) what comes before and after counts, too

# In full precision NVIDIA's tensor cores are of no use: every thread multiplies its share of the tile.
EXACT_TILES = (
    Tile(64, 64, 64, 4, 2, 8, POINTER, "32 sums a thread; with 128x256 tiles of 8 warps, 5 KB of them spill on sm_90"),
    Tile(32, 32, 64, 4, 2, 4, POINTER, "small problems"),
)

# Few rows: the other operand is read once, at the speed of memory; what counts is bytes in flight.
SKINNY_ROWS = 64
SKINNY_TILES: dict[str, tuple[Tile, ...]] = {
    "sm_90": (
        Tile(16, 64, 256, 4, 6, 1, POINTER, "16 KiB a stage and six stages: 96 KiB in flight on every multiprocessor"),
        Tile(16, 32, 512, 4, 4, 1, POINTER, "two programs a multiprocessor"),
    ),
    "sm_100": (Tile(16, 64, 256, 4, 6, 1, POINTER, "as on sm_90"),),
    "sm_80": (Tile(16, 64, 256, 4, 5, 1, POINTER, "80 KiB in flight"),),
    "sm_86": (Tile(16, 64, 128, 4, 5, 1, POINTER, "40 KiB in flight"),),
    "hip": (Tile(16, 64, 256, 4, 2, 1, POINTER, "one buffer"),),
    "": (Tile(16, 64, 64, 4, 2, 1, POINTER, "fits everywhere"),),
}  # fmt: skip


@dataclass(frozen=True)
class AttentionTile:
    """Tiles of two chained products: `inner` is the loop's block; for heads up to `head` elements of two bytes."""

    head: int
    rows: int
    inner: int
    num_warps: int
    num_stages: int
    indexing: str
    reason: str


ATTENTION_TILES: dict[str, tuple[AttentionTile, ...]] = {
    "sm_90": (
        AttentionTile(64, 64, 128, 4, 2, DESCRIPTOR, "measured on an H100: 484 TFLOP/s by hand, pointers 466"),
        AttentionTile(128, 128, 64, 4, 2, DESCRIPTOR, "measured on an H100: 561 TFLOP/s by hand, pointers 513"),
        AttentionTile(256, 64, 64, 4, 2, DESCRIPTOR, "the accumulator takes 128 registers"),
    ),
    "sm_100": (
        AttentionTile(64, 128, 128, 4, 3, DESCRIPTOR, "tcgen05 wants 128 rows"),
        AttentionTile(128, 128, 64, 4, 3, DESCRIPTOR, "tcgen05 wants 128 rows"),
        AttentionTile(256, 64, 64, 4, 2, DESCRIPTOR, "tensor memory and registers"),
    ),
    "sm_80": (
        AttentionTile(64, 128, 64, 4, 3, POINTER, "FlashAttention-2's tile"),
        AttentionTile(128, 128, 64, 8, 3, POINTER, "FlashAttention-2's tile"),
        AttentionTile(256, 64, 32, 4, 2, POINTER, "registers"),
    ),
    "sm_86": (
        AttentionTile(64, 64, 64, 4, 2, POINTER, "99 KiB of shared memory"),
        AttentionTile(256, 64, 32, 4, 2, POINTER, "99 KiB of shared memory"),
    ),
    "hip": (
        AttentionTile(128, 128, 64, 4, 1, POINTER, "64 KiB of shared memory, no pipelining of both operands"),
        AttentionTile(256, 64, 32, 4, 1, POINTER, "64 KiB of shared memory"),
    ),
    "": (AttentionTile(256, 32, 32, 4, 1, POINTER, "fits everywhere"),),
}  # fmt: skip

# The backward passes: three or four products a step, and two accumulators.
ATTENTION_BACKWARD_TILES: dict[str, tuple[AttentionTile, ...]] = {
    "sm_90": (
        AttentionTile(128, 64, 64, 4, 2, DESCRIPTOR, "two programs a multiprocessor: one multiplies while the other "
                                                     "takes powers; on an H100 12 to 55 % faster than 128x64, 8 warps"),
        AttentionTile(256, 64, 32, 8, 2, DESCRIPTOR, "registers"),
    ),
    "sm_100": (
        AttentionTile(128, 128, 64, 8, 2, DESCRIPTOR, "two accumulators of 128x128 take 128 registers of 8 warps"),
        AttentionTile(256, 64, 32, 8, 2, DESCRIPTOR, "registers"),
    ),
    "sm_80": (
        AttentionTile(64, 64, 64, 4, 2, POINTER, "operands of four products in shared memory"),
        AttentionTile(128, 64, 64, 8, 2, POINTER, "operands of four products in shared memory"),
        AttentionTile(256, 64, 32, 8, 1, POINTER, "operands of four products in shared memory"),
    ),
    "sm_86": (AttentionTile(256, 64, 32, 8, 1, POINTER, "99 KiB of shared memory"),),
    "hip": (AttentionTile(256, 64, 32, 8, 1, POINTER, "64 KiB of shared memory"),),
    "": (AttentionTile(256, 32, 32, 4, 1, POINTER, "fits everywhere"),),
}  # fmt: skip


# --- reductions of whole rows


@dataclass(frozen=True)
class RowRule:
    """Rows of up to `lanes` (padded) elements: how many warps, and in steps of how many elements (None: at once)."""

    lanes: int
    num_warps: int
    reduction_loop: int | None
    reason: str


ROW_RULES = (
    RowRule(2048, 4, None, "several short rows share four warps, 16 elements a thread"),
    RowRule(4096, 4, None, "32 elements a thread hide latency without spilling"),
    RowRule(8192, 8, None, "32 elements a thread"),
    RowRule(16384, 16, None, "32 elements a thread"),
    RowRule(32768, 32, None, "32 elements a thread; a row still fits the registers of one multiprocessor"),
    RowRule(
        2**62,
        32,
        32768,
        "more than the registers hold: the row is read again, from the L2 cache; longer steps keep more "
        "bytes in flight (H100, rows of 65536: 2715 GB/s, in steps of 8192 1926, at once 2077)",
    ),
)
ACROSS = RowRule(
    2**62,
    8,
    8192,
    "32 elements a thread, each with an address of its own: there are no registers for more than 8 warps",
)  # for rows that run across memory, and are too long to be held
ROW_TILE = 2048  # lanes of one program where rows are short
SECTOR = 32  # bytes that memory hands out at once, at the least


# --- elementwise


TILE_BYTES = 8192  # one program of an elementwise kernel: four 16-byte loads for each of 128 threads
SQUARE = 64  # both sides of a tile that reads along one dim and writes along the other


# --- the planner


def plans(program: Program, target: Target | None) -> Iterator[Plan]:
    """Plans for `program`, best first; all fit the target by estimate."""
    seen: list[Plan] = []
    traits = Traits(program)
    for plan in _candidates(traits, family(target)):
        plan = replace(plan, num_warps=min(plan.num_warps, most_warps(target)))
        plan = _shrunk(traits.in_parts, _completed(traits.in_parts, plan), target)
        plain = replace(plan, reason="")
        if plain not in seen:
            seen.append(plain)
            yield plan


def _candidates(traits: Traits, name: str) -> Iterator[Plan]:
    if _attention(traits) is not None:
        yield from _attention_plans(traits, name)
    elif traits.products:
        yield from _matmul_plans(traits, name)
    elif traits.reduced:
        yield from _row_plans(traits)
    else:
        yield from _elementwise_plans(traits)


def _cut(tile: int, extent: int, least: int = 1) -> int:
    """`tile` no larger than the dimension."""
    return max(least, min(tile, next_power_of_two(extent)))


def _matmul_plans(traits: Traits, name: str) -> Iterator[Plan]:
    product = max(traits.products, key=lambda p: (p.loop is not None, traits.extent(p.depth)))
    rows, columns = traits.extent(product.rows), traits.extent(product.columns)
    skinny = min(rows, columns) <= SKINNY_ROWS and max(rows, columns) > SKINNY_ROWS and len(traits.products) == 1
    table = (SKINNY_TILES if skinny else MATMUL_TILES)[name]
    if product.exact and name != "hip":
        table = EXACT_TILES
    chosen = table if skinny else _ranked(table, traits, product, _UNITS[name])
    for tile in chosen:
        yield _matmul_plan(traits, product, tile, skinny and columns < rows)


def _batch(traits: Traits, product: Product) -> int:
    """Programs per tile of the matrix: tiles of the other dims of the grid, with one lane each."""
    own = {traits.block(product.rows), traits.block(product.columns)}
    count = 1
    for r in (r for phase in traits.program.phases[:1] for r in phase.ranges):
        block = traits.block(r.width)
        if isinstance(r.begin, int) and isinstance(r.end, int) and (block is None or block not in own):
            lanes = r.width if isinstance(r.width, int) else 1
            count *= -((r.begin - r.end) // lanes)
    return count


def _ranked(table: tuple[Tile, ...], traits: Traits, product: Product, units: int) -> list[Tile]:
    """The tiles with the best first, then its neighbours."""
    rows, columns, batch = traits.extent(product.rows), traits.extent(product.columns), _batch(traits, product)

    def programs(tile: Tile) -> int:
        return batch * -(-rows // max(1, min(tile.rows, rows))) * -(-columns // max(1, min(tile.columns, columns)))

    def time(tile: Tile) -> float:
        """Of waves of one program a multiprocessor; the last takes as long as the others, however few it has."""
        assert tile.speed is not None
        return -(-programs(tile) // units) * tile.area / tile.speed

    first_of_area = {tile.area: tile for tile in reversed(table)}.values()
    best = next((t for t in table if t in first_of_area and programs(t) * 4 >= units * 3), table[-1])
    largest = 0 if _written_as_measured(traits.program) else table.index(best)
    compared = [tile for tile in table[largest:] if _speed_holds(tile, traits, product)]
    if best in compared:
        best = reduce(lambda taken, later: later if time(taken) > WORTHWHILE * time(later) else taken, compared)
    return sorted(table, key=lambda tile: abs(table.index(tile) - table.index(best)))


def _speed_holds(tile: Tile, traits: Traits, product: Product) -> bool:
    """Whether the product is like those that `tile.speed` was measured with: the only one, in a long loop that reads as
    the tile wants it, from operands that lie in memory as those did, its rows and columns those of the programs, and as
    many as the tile has. All of that is known on the host: programs that only the device knows to have work are no
    measure of time.
    """
    program, loop = traits.program, product.loop
    grid = [r for phase in program.phases for r in phase.ranges]
    loops = [op.range for op in program.ops() if isinstance(op, For)]
    known = all(isinstance(end, int) for r in (*grid, *loops) for end in (r.begin, r.end))
    if tile.speed is None or loop is None or not known or len(traits.products) > 1:
        return False
    sides = product.rows, product.columns
    for size, wanted in zip(sides, (tile.rows, tile.columns), strict=True):
        block = traits.block(size)
        if block not in traits.grid_blocks or not block.minimum <= wanted <= useful_limit(block):
            return False
    loads = [op for op in loop.body.walk() if isinstance(op, Load)]
    depth = traits.block(product.depth)
    operands = [[op for op in loads if {traits.block(size), depth} <= traits.tiled(op)] for size in sides]
    if not all(traits.runs_along(op, depth) for found in operands[: tile.speed_along] for op in found):
        return False
    rows = [(stride, op.tensor.dtype.itemsize) for found in operands for op in found for stride in op.tensor.strides]
    if any(stride * itemsize % LINE != 0 for stride, itemsize in rows if stride != 1):
        return False
    by_tiles = all(tile.indexing in choices(op, program, has_tma=True) for op in loads)
    return by_tiles and traits.extent(product.depth) * product.itemsize >= LEAST_STEPS * tile.depth_bytes


def _written_as_measured(program: Program) -> bool:
    """Whether all results have elements of at most two bytes and are written by descriptors. Where not, a tile larger
    than the first choice has no room in shared memory for as many stages as were measured, or spills the addresses.
    """
    stores = [op for op in program.ops() if isinstance(op, Store)]
    return all(op.tensor.dtype.itemsize <= 2 and DESCRIPTOR in choices(op, program, has_tma=True) for op in stores)


def _matmul_plan(traits: Traits, product: Product, tile: Tile, swapped: bool) -> Plan:
    wanted_rows, wanted_columns = (tile.columns, tile.rows) if swapped else (tile.rows, tile.columns)
    if tile.rows == 16:  # a skinny tile: as tall as the problem
        few = next_power_of_two(traits.extent(product.columns if swapped else product.rows))
        wanted_rows, wanted_columns = (wanted_rows, max(16, few)) if swapped else (max(16, few), wanted_columns)
    sizes: dict[BlockSize, int] = {}
    for p in traits.products:
        itemsize = p.itemsize
        for size, wanted in (
            (p.rows, wanted_rows),
            (p.columns, wanted_columns),
            (p.depth, tile.depth_bytes // itemsize),
        ):
            block = traits.block(size)
            if block is not None and block not in sizes:
                sizes[block] = _cut(wanted, traits.extent(size), block.minimum)
    return Plan(
        sizes, tile.num_warps, tile.num_stages, tile.l2_grouping, tile.indexing, None, tile.reason, tile.pid_type
    )


def _attention(traits: Traits) -> tuple[BlockSize, list[BlockSize], int] | None:
    """(rows, inner blocks, head size) of two chained products: the columns of one are the depth of another. There are
    several inner blocks where several loops go over the keys, as for those that a mask cuts.
    """
    inners: list[BlockSize] = []
    found = None
    for first in traits.products:
        inner, rows = traits.block(first.columns), traits.block(first.rows)
        if inner is None or rows is None or isinstance(first.depth, int) is False or inner in inners:
            continue
        for second in traits.products:
            if second is not first and traits.block(second.depth) is inner and traits.block(second.rows) is rows:
                head = max(traits.extent(first.depth), traits.extent(second.columns))
                found = found or (rows, inners, head * first.itemsize // 2)
                if rows is found[0]:
                    inners.append(inner)
                break
    return found


def _attention_plans(traits: Traits, name: str) -> Iterator[Plan]:
    found = _attention(traits)
    assert found is not None
    rows, inners, head = found
    if any(p.exact for p in traits.products) and name != "hip":
        name = ""  # no tensor cores: small tiles
    table = (ATTENTION_BACKWARD_TILES if traits.most_products > 2 else ATTENTION_TILES)[name]
    first = next((t for t in table if head <= t.head), table[-1])
    variants = [
        first,
        replace(first, indexing=POINTER),
        replace(first, rows=64, inner=128, num_warps=4, num_stages=1),  # not pipelined: room for more programs
        replace(first, rows=128, inner=64, num_warps=8, num_stages=3),
        replace(first, rows=128, inner=128, num_warps=8, num_stages=2),
        replace(first, rows=64, inner=64, num_warps=4, num_stages=3),
    ]
    for tile in variants if name else [first]:
        sizes = {rows: _cut(tile.rows, traits.extent(rows.symbol), rows.minimum)}
        sizes |= {b: _cut(tile.inner, traits.extent(b.symbol), b.minimum) for b in inners}
        yield Plan(sizes, tile.num_warps, tile.num_stages, 1, tile.indexing, None, tile.reason)


def _row_plans(traits: Traits) -> Iterator[Plan]:
    lengths = [r.end if isinstance(r.end, int) else UNKNOWN_ROW for r in traits.reduced]
    length, columns = next_power_of_two(max(lengths)), _columns(traits)
    lanes = length * columns
    rule = next(rule for rule in ROW_RULES if lanes <= rule.lanes)
    rule = ACROSS if columns > 1 and rule.reduction_loop else rule
    variants = [
        rule,
        replace(rule, num_warps=min(32, rule.num_warps * 2)),
        replace(rule, num_warps=max(1, rule.num_warps // 2)),
        replace(rule, reduction_loop=None if rule.reduction_loop else min(4096, lanes // 2), num_warps=8),
    ]
    for variant in variants if lanes >= 2048 else [rule]:
        sizes = _grown(traits, max(ROW_TILE, lanes) if traits.side_by_side else ROW_TILE, 1)
        warps = variant.num_warps if lanes >= 512 or sizes else 4
        loop = variant.reduction_loop // columns if variant.reduction_loop else length
        yield Plan(sizes, warps, 2, 1, POINTER, loop if loop < length else None, variant.reason)


UNKNOWN_ROW = 4096


def _columns(traits: Traits) -> int:
    """Neighbours in memory that a program reduces side by side, where sums run across memory: a sector of them."""
    limits = [useful_limit(block) for block in traits.side_by_side]
    return min(SECTOR // traits.itemsize, *limits) if limits else 1


def _elementwise_plans(traits: Traits) -> Iterator[Plan]:
    lanes = max(1024, TILE_BYTES // traits.itemsize)
    if len(traits.contiguous) > 1:
        sizes = {b: _cut(SQUARE, traits.extent(b.symbol), b.minimum) for b in traits.contiguous}
        yield Plan(sizes, 4, 2, 1, POINTER, None, "square tiles, so that reads and writes both run along memory")
    for factor, warps in ((1, 4), (1, 8), (2, 8), (0.5, 4)):
        sizes = _grown(traits, int(lanes * factor), 1)
        yield Plan(
            sizes, warps, 3 if traits.has_loops else 2, 1, POINTER, None, "whole vectors of 16 bytes for every thread"
        )


def _grown(traits: Traits, lanes: int, least: int) -> dict[BlockSize, int]:
    """Block sizes that fill `lanes`: the fastest dimensions grow first, since they are contiguous."""
    program = traits.program
    sizes = {block: max(least, next_power_of_two(block.minimum)) for block in program.blocks}
    order = [*(b for b in reversed(program.blocks) if b in traits.contiguous),
             *(b for b in reversed(program.blocks) if b not in traits.contiguous)]  # fmt: skip
    for block in order:
        limit = useful_limit(block)
        while sizes[block] < limit:
            grown = {**sizes, block: sizes[block] * 2}
            if largest_value(traits.in_parts, Layout(traits.in_parts, grown)) > lanes:
                break
            sizes = grown
    return sizes


def useful_limit(block: BlockSize) -> int:
    """The smallest power of two that covers the block's extent, within its own bounds."""
    limit = 2**20 if block.maximum is None else 1 << (block.maximum.bit_length() - 1)
    if isinstance(block.extent, int):
        limit = min(limit, next_power_of_two(block.extent))
    return max(next_power_of_two(block.minimum), limit)


def _completed(program: Program, plan: Plan) -> Plan:
    """The plan with a size for every block. Batches of products stay small; other blocks that no rule names, such as
    those of a second loop, grow until their own values fill a program.
    """
    sizes = {block: max(plan.block_sizes.get(block, 1), next_power_of_two(block.minimum)) for block in program.blocks}
    sizes = {block: min(size, useful_limit(block)) for block, size in sizes.items()}
    multiplied = {
        size for op in program.ops() if isinstance(op, Dot) for v in (*op.inputs, op.result) for size in v.shape
    }
    for block in reversed(program.blocks):
        if block not in plan.block_sizes and block.symbol not in multiplied:
            while sizes[block] < useful_limit(block):
                grown = {**sizes, block: sizes[block] * 2}
                if largest_value(program, Layout(program, grown), block) > ROW_TILE:
                    break
                sizes = grown
    return replace(plan, block_sizes=sizes)


def _shrunk(program: Program, plan: Plan, target: Target | None) -> Plan:
    """The plan made smaller until it fits: fewer stages first, then smaller tiles."""
    if plan.reduction_loop is not None:
        program = roll_all(program, dict.fromkeys(rollable(program), plan.reduction_loop))
    while not fits(program, plan.block_sizes, plan.num_warps, plan.num_stages, target):
        smaller = next_smaller(plan)
        if smaller is None:
            break
        plan = smaller
    return plan


def next_smaller(plan: Plan) -> Plan | None:
    """The plan with less of something, or None where nothing is left to take away."""
    if plan.num_stages > 2:
        return replace(plan, num_stages=plan.num_stages - 1)
    shrinkable = [b for b, size in plan.block_sizes.items() if size // 2 >= max(1, b.minimum)]
    if shrinkable:
        return plan.halved(max(shrinkable, key=lambda b: plan.block_sizes[b]))
    return replace(plan, num_stages=1) if plan.num_stages > 1 else None


def as_keys(plan: Plan, program: Program) -> dict[str, Any]:
    """The plan as configuration keys; `reduction_loops` and `l2_groupings` hold one value for all entries."""
    return {
        "block_sizes": [plan.block_sizes[block] for block in program.blocks],
        "num_warps": plan.num_warps,
        "num_stages": plan.num_stages,
        "l2_groupings": plan.l2_grouping,
        "indexing": plan.indexing,
        "reduction_loops": plan.reduction_loop,
        "pid_type": plan.pid_type,
    }
