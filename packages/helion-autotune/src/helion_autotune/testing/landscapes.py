"""Simulated tuning problems that behave like kernels, with no GPU.

What real kernels show, and these imitate: effects multiply; block sizes, warps and stages interact through
registers and shared memory; whole regions fail; some failures have no pattern; list knobs pay only if all entries
move together; identical candidates measure 1-3 % apart; most random points are several times slower than a good
one.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod

import numpy as np

from helion_autotune.errors import CompileError, LaunchError
from helion_autotune.points import Point, digest
from helion_autotune.space import Boolean, Enum, Integer, ListOf, OrNone, Permutation, PowerOfTwo, SearchSpace

_SHARED_MEMORY = 227 * 1024
_RUGGEDNESS = 0.02
_CLIMBS = 24


class Landscape(ABC):
    """A space with an objective. ``noise`` is the relative standard deviation of one measurement.

    ``seed`` shapes the problem: where the optimum lies and how strong each effect is.
    """

    def __init__(self, name: str, space: SearchSpace, seed: int = 0, noise: float = 0.01) -> None:
        self.name, self.space, self.seed, self.noise = name, space, seed, noise

    @abstractmethod
    def milliseconds(self, point: Point) -> float:
        """The true time of a point; raises a CandidateError for one that fails."""

    def measure(self, point: Point, rng: np.random.Generator) -> float:
        """The time of a point as one measurement would show it."""
        return self.milliseconds(point) * math.exp(self.noise * float(rng.standard_normal()))

    def cost(self, point: Point) -> float:
        """The true time, infinite for a failure."""
        try:
            return self.milliseconds(point)
        except (CompileError, LaunchError):
            return math.inf

    @functools.cached_property
    def optimum(self) -> float:
        """The best true time that many noiseless climbs find: the yardstick of comparisons."""
        rng = np.random.default_rng([self.seed, 7])
        starts = [self.space.default(), *self.space.seeds, *(self.space.sample(rng) for _ in range(_CLIMBS))]
        return min(self._climb(start) for start in starts)

    def _climb(self, point: Point) -> float:
        cost = self.cost(point)
        while True:
            better = min(self.space.neighbours(point), key=self.cost)
            if self.cost(better) >= cost:
                return cost
            point, cost = better, self.cost(better)

    def chance(self, *what: object) -> float:
        """A number in [0, 1) that depends on ``what`` and the seed alone."""
        return int(digest([self.seed, *what]), 16) / 16**20

    def effect(self, name: str, low: float, high: float) -> float:
        """A strength of this problem, between two limits."""
        return low + (high - low) * self.chance(name)


def _log2(value: int) -> float:
    return math.log2(value)


class MatmulLandscape(Landscape):
    """A matrix product: three block sizes, warps, stages, groupings, and one indexing choice per access."""

    def __init__(self, seed: int = 0, noise: float = 0.01) -> None:
        super().__init__(f"matmul-{seed}", _matmul_space(), seed, noise)

    def milliseconds(self, point: Point) -> float:
        m, n, k = point["block_sizes"]
        self._check_limits(point, m, n, k)
        log_time = self._tile_cost(m, n, k, point["num_warps"], point["num_stages"])
        log_time += self._mapping_cost(point) + self._access_cost(point)
        log_time += _RUGGEDNESS * 2 * (self.chance("rugged", point) - 0.5)
        return math.exp(log_time)

    def _check_limits(self, point: Point, m: int, n: int, k: int) -> None:
        shared = 2 * k * (m + n) * max(1, point["num_stages"])
        if shared > _SHARED_MEMORY:
            raise LaunchError(f"out of resource: shared memory, Required: {shared}, Hardware limit: {_SHARED_MEMORY}")
        if point["pid_type"].startswith("persistent") and point["flatten_loops"][0]:
            raise CompileError("flattened loops cannot be persistent")
        if self.chance("fails", point) < 0.04:
            raise CompileError("PassManager::run failed")

    def _tile_cost(self, m: int, n: int, k: int, warps: int, stages: int) -> float:
        area = _log2(m) + _log2(n)
        cost = 0.10 * (area - self.effect("area", 12.5, 14.5)) ** 2
        cost += 0.06 * (_log2(m) - _log2(n) - self.effect("aspect", -1, 1)) ** 2
        cost += 0.05 * (_log2(k) - self.effect("depth", 4.5, 6.5)) ** 2
        cost += 0.08 * (_log2(warps) - (area - self.effect("per warp", 10.7, 11.5))) ** 2
        spilled = m * n / (32 * warps) - 160
        cost += 0.9 if spilled > 0 else 0.0
        return cost + 0.035 * (stages - self.effect("stages", 2.6, 4.6) + 0.5 * (_log2(k) - 5.5)) ** 2

    def _mapping_cost(self, point: Point) -> float:
        grouping = _log2(point["l2_groupings"][0])
        cost = 0.008 * (grouping - self.effect("grouping", 1.5, 4.5)) ** 2
        cost += 0.05 * (point["loop_orders"][0] != [1, 0]) * (grouping < 1)
        if point["pid_type"].startswith("persistent"):
            cost += self.effect("persistent", -0.09, 0.05) + 0.04 * abs(point["num_stages"] - 4)
        cost += 0.02 * point["flatten_loops"][0]
        unroll = point["range_unroll_factors"][0]
        return cost + 0.015 * abs(unroll - round(self.effect("unroll", 0, 2)))

    def _access_cost(self, point: Point) -> float:
        kinds = point["indexing"]
        described = sum(kind == "tensor_descriptor" for kind in kinds)
        cost = -self.effect("descriptors", 0.08, 0.20) if described == len(kinds) else 0.05 * bool(described)
        evicted = sum(policy != "" for policy in point["load_eviction_policies"])
        return cost + self.effect("eviction", -0.01, 0.02) * evicted


def _matmul_space() -> SearchSpace:
    indexing = Enum(["pointer", "block_ptr", "tensor_descriptor"])
    parameters = {
        "block_sizes": ListOf([PowerOfTwo(16, 256, 32), PowerOfTwo(16, 256, 32), PowerOfTwo(16, 256, 32)]),
        "loop_orders": ListOf([Permutation(2)]),
        "flatten_loops": ListOf([Boolean()]),
        "l2_groupings": ListOf([PowerOfTwo(1, 64, 1)]),
        "indexing": ListOf.repeat(indexing, 4),
        "load_eviction_policies": ListOf.repeat(Enum(["", "first", "last"]), 3),
        "range_unroll_factors": ListOf([Integer(0, 4)]),
        "pid_type": Enum(["flat", "xyz", "persistent_blocked", "persistent_interleaved"]),
        "num_warps": PowerOfTwo(1, 32, 4),
        "num_stages": Integer(1, 8, 2),
    }
    seeds = [
        {"block_sizes": [128, 128, 64], "num_warps": 8, "num_stages": 3, "l2_groupings": [8]},
        {"block_sizes": [64, 64, 32], "num_warps": 4, "num_stages": 3, "l2_groupings": [8]},
    ]
    return SearchSpace(parameters, seeds=seeds)


class RowLandscape(Landscape):
    """A row-wise reduction: bandwidth bound, flat near the optimum, with a cliff where rows no longer stay
    resident."""

    def __init__(self, seed: int = 0, noise: float = 0.01) -> None:
        super().__init__(f"rows-{seed}", _row_space(), seed, noise)

    def milliseconds(self, point: Point) -> float:
        rows, chunk, warps = point["block_sizes"][0], point["reduction_loops"][0], point["num_warps"]
        resident = rows * (chunk or 8192) / (32 * warps)
        if resident > 2048:
            raise CompileError("ptxas: too many registers")
        cost = 0.45 * (chunk is not None) + 0.04 * (chunk is not None) * abs(_log2(chunk or 1) - 11)
        cost += 0.03 * (_log2(warps) - self.effect("warps", 2.5, 4.5)) ** 2
        cost += 0.05 * (_log2(rows) - self.effect("rows", 0, 1.5)) ** 2
        cost += 1.1 if resident > 255 else 0.0
        same = len(set(point["load_eviction_policies"])) == 1
        first = point["load_eviction_policies"][0] == "first"
        cost -= self.effect("eviction", 0.02, 0.08) * (same and first)
        cost += 0.01 * abs(point["num_stages"] - 2) + 0.03 * (point["indexing"][0] == "block_ptr")
        cost += self.effect("multiplier", -0.02, 0.02) * (point["pid_type"] != "flat")
        return math.exp(cost + _RUGGEDNESS * (self.chance("rugged", point) - 0.5))


def _row_space() -> SearchSpace:
    parameters = {
        "block_sizes": ListOf([PowerOfTwo(1, 64, 1)]),
        "reduction_loops": ListOf([OrNone(PowerOfTwo(16, 8192), None)]),
        "indexing": ListOf.repeat(Enum(["pointer", "block_ptr", "tensor_descriptor"]), 3),
        "load_eviction_policies": ListOf.repeat(Enum(["", "first", "last"]), 3),
        "pid_type": Enum(["flat", "persistent_blocked", "persistent_interleaved"]),
        "num_warps": PowerOfTwo(1, 32, 4),
        "num_stages": Integer(1, 8, 2),
    }
    return SearchSpace(parameters)


def standard_landscapes(shapes: int = 3) -> list[Landscape]:
    """The problems that strategies are compared on: ``shapes`` of each kind."""
    return [kind(seed) for kind in (MatmulLandscape, RowLandscape) for seed in range(shapes)]
