"""Many tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that those below a level are all true with at least that confidence.

    S. Holm, Scandinavian Journal of Statistics 6 (1979) 65. It bounds the chance of a single false alarm, under any
    dependence between the tests. Benjamini-Hochberg would find a little more among many true differences and bounds
    only the share of false ones; a regression check that stops a release may not cry wolf at all.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for position, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[i]))
        adjusted[i] = running
    return adjusted
