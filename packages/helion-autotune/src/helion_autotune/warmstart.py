"""Starting points from results for other shapes, devices or versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helion_autotune.points import point_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from helion_autotune.caches.base import Cache
    from helion_autotune.caches.record import CacheKey
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace


def warm_starts(
    cache: Cache,
    key: CacheKey,
    space: SearchSpace,
    *,
    same: Iterable[str] = (),
    repair: Callable[[Point], Point | None] | None = None,
    limit: int = 8,
) -> list[Point]:
    """The best points of the most similar other keys, made valid in ``space``; give them to ``space.seeded``.

    Only keys of the same group that agree in the parts named ``same`` count. ``repair`` (default: the space's own)
    maps a point from elsewhere to a valid one, or to None if there is none. At most ``limit`` different points.
    """
    mend = repair or space.repair
    found: dict[str, Point] = {}
    for record in cache.related(key, same):
        best = record.best
        point = mend(best.point) if best is not None else None
        if point is not None and not space.check(point):
            found.setdefault(point_key(point), point)
        if len(found) >= limit:
            break
    return list(found.values())
