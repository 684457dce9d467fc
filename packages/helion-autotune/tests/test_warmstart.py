from __future__ import annotations

from helion_autotune import PowerOfTwo, SearchSpace
from helion_autotune.caches import CacheKey, Entry
from helion_autotune.caches.local import LocalCache
from helion_autotune.warmstart import warm_starts

SPACE = SearchSpace({"block": PowerOfTwo(16, 128, 32), "warps": PowerOfTwo(1, 8, 4)})


def key(shape: int, target: str = "sm_90") -> CacheKey:
    return CacheKey("matmul", {"source": "s", "shape": shape, "target": target})


def fill(cache) -> None:
    cache.put(key(1024), [Entry({"block": 64, "warps": 8}, 1.0, winner=True), Entry({"block": 16, "warps": 1}, 9.0)])
    cache.put(key(2048), [Entry({"block": 512, "warps": 8, "gone": 1}, 2.0, winner=True)])
    cache.put(key(2048, "sm_80"), [Entry({"block": 32, "warps": 2}, 2.0, winner=True)])
    cache.put(key(8, "sm_80"), [Entry({"block": 32, "warps": 1}, None, "timeout")])


def test_the_best_of_related_keys_repaired(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    fill(cache)
    points = warm_starts(cache, key(4096), SPACE)
    assert points[-1] == {"block": 32, "warps": 2}, "another target comes after other shapes"
    assert sorted(p["block"] for p in points[:2]) == [64, 128]
    assert SPACE.seeded(points).seeds == tuple(points)
    assert len(warm_starts(cache, key(4096), SPACE, same=["target"])) == 2
    assert len(warm_starts(cache, key(4096), SPACE, limit=1)) == 1
    assert warm_starts(cache, key(1024), SPACE, same=["shape"]) == []


def test_the_client_may_repair_itself(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    fill(cache)
    refuse = {64: None, 512: {"block": 16, "warps": 1}, 32: {"block": 17, "warps": 1}}
    points = warm_starts(cache, key(4096), SPACE, repair=lambda p: refuse[p["block"]])
    assert points == [{"block": 16, "warps": 1}], "what it refuses or leaves invalid is dropped"
