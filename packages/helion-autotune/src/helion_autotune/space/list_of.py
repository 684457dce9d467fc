"""Several choices of one kind in a list: block sizes, one indexing choice per load, …"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.points import canonical
from helion_autotune.space.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from helion_autotune.points import Value


class ListOf(Parameter):
    """A list with one parameter per entry. Entries may have different limits.

    Neighbours come in three sorts, because single entries alone lead searches into dead ends: *uniform* moves
    change all entries at once (all one step up, all to one value), *trades* step one entry up and another down (a
    tile changes its shape but not its area), and single-entry moves. With more than one entry the code gains the
    mean of the entries' codes, so that a model sees a uniform move as one direction.
    """

    kind: ClassVar[str] = "list_of"

    def __init__(self, entries: Sequence[Parameter], default: list[Value] | None = None) -> None:
        self.entries = list(entries)
        self.default = [e.default for e in self.entries] if default is None else list(default)
        widths = {e.width for e in self.entries}
        self._mean_width = widths.pop() if len(self.entries) > 1 and len(widths) == 1 else 0
        self.width = sum(e.width for e in self.entries) + self._mean_width

    @classmethod
    def repeat(cls, entry: Parameter, length: int) -> ListOf:
        """``length`` entries of the same choice."""
        return cls([entry] * length)

    def check(self, value: Value) -> str | None:
        if not isinstance(value, (list, tuple)):
            return f"{value!r} is not a list"
        if len(value) != len(self.entries):
            return f"{value!r} has {len(value)} entries, expected {len(self.entries)}"
        reasons = [
            f"entry {i}: {r}" for i, (e, v) in enumerate(zip(self.entries, value, strict=True)) if (r := e.check(v))
        ]
        return "; ".join(reasons) or None

    def sample(self, rng: np.random.Generator) -> Value:
        """Half of the samples are uniform where they can be: all entries from one draw."""
        first = self.entries[0].sample(rng) if self.entries else None
        if len(self.entries) > 1 and rng.random() < 0.5:
            return [first if e.check(first) is None else e.repair(first) for e in self.entries]
        return [e.sample(rng) for e in self.entries]

    def neighbours(self, value: Value) -> list[Value]:
        moves = itertools.chain(self.uniform_moves(value), self._trades(value), self._single_moves(value))
        seen = {canonical(list(value))}
        return [m for m in moves if (text := canonical(m)) not in seen and not seen.add(text)]

    def uniform_moves(self, value: Value) -> list[Value]:
        """All entries one step up or down, or all set to one value (entries that cannot follow stay)."""
        if len(self.entries) < 2:
            return []
        moves = []
        for direction in (-1, +1):
            steps = [e.step(v, direction) for e, v in zip(self.entries, value, strict=True)]
            moves.append([v if s is None else s for s, v in zip(steps, value, strict=True)])
        for target in self._common_values(value):
            moves.append([target if e.check(target) is None else v for e, v in zip(self.entries, value, strict=True)])
        return moves

    def alternatives(self, value: Value) -> list[Value]:
        if len(self.entries) == 1:
            return [[v] for v in self.entries[0].alternatives(value[0])]
        targets = [
            t for e, v in zip(self.entries, value, strict=True) for t in (v, *e.alternatives(v)) if e.alternatives(v)
        ]
        moves = [[t if e.check(t) is None else v for e, v in zip(self.entries, value, strict=True)] for t in targets]
        seen = {canonical(list(value))}
        return [m for m in moves if (text := canonical(m)) not in seen and not seen.add(text)]

    def _common_values(self, value: Value) -> Iterable[Value]:
        """Targets of a set-all move: every value of an unordered choice, the values in use of an ordered one."""
        for entry, current in zip(self.entries, value, strict=True):
            if entry.step(current, +1) is None and entry.step(current, -1) is None and entry.cardinality() <= 16:
                yield from entry.values()
            yield current

    def _trades(self, value: Value) -> Iterable[Value]:
        for i, j in itertools.permutations(range(len(self.entries)), 2):
            up, down = self.entries[i].step(value[i], +1), self.entries[j].step(value[j], -1)
            if up is not None and down is not None:
                yield [up if k == i else down if k == j else v for k, v in enumerate(value)]

    def _single_moves(self, value: Value) -> Iterable[Value]:
        for i, entry in enumerate(self.entries):
            for new in entry.neighbours(value[i]):
                yield [new if k == i else v for k, v in enumerate(value)]

    def encode(self, value: Value) -> list[float]:
        codes = [e.encode(v) for e, v in zip(self.entries, value, strict=True)]
        flat = [x for code in codes for x in code]
        if self._mean_width:
            flat += [sum(code[k] for code in codes) / len(codes) for k in range(self._mean_width)]
        return flat

    def distance(self, a: Value, b: Value) -> float:
        parts = [e.distance(x, y) for e, x, y in zip(self.entries, a, b, strict=True)]
        return sum(parts) / max(1, len(parts))

    def crossover(self, a: Value, b: Value, rng: np.random.Generator) -> Value:
        if rng.random() < 0.5:
            return list(super().crossover(a, b, rng))
        return [e.crossover(x, y, rng) for e, x, y in zip(self.entries, a, b, strict=True)]

    def differential(self, base: Value, a: Value, b: Value, rng: np.random.Generator) -> Value:
        return [e.differential(v, x, y, rng) for e, v, x, y in zip(self.entries, base, a, b, strict=True)]

    def cardinality(self) -> int:
        return math.prod(e.cardinality() for e in self.entries)

    def values(self) -> list[Value]:
        return [list(v) for v in itertools.product(*(e.values() for e in self.entries))]

    def repair(self, value: Value) -> Value:
        """Entry by entry; a list of another length is cut, or filled up with defaults."""
        given = list(value) if isinstance(value, (list, tuple)) else [value] * len(self.entries)
        return [e.repair(given[i]) if i < len(given) else e.default for i, e in enumerate(self.entries)]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "entries": [e.to_json() for e in self.entries], "default": self.default}
