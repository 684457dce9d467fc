"""A conformance suite for caches. Subclass it in a test file and say how to make an empty cache:

>>> class TestMine(CacheConformance):
...     def make(self, folder):
...         return MyCache(folder)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from helion_autotune.caches.record import CacheKey, Entry

if TYPE_CHECKING:
    from pathlib import Path

    from helion_autotune.caches.base import Cache

KEY = CacheKey("matmul", {"source": "abc", "shape": [4096, 4096], "target": "sm_90", "version": None})
FAST = Entry({"warps": 8}, 0.5, winner=True, created=2.0, provenance={"device": "none"})
SLOW = Entry({"warps": 4}, 0.75, created=1.0)
FAILED = Entry({"warps": 32}, None, "compile_error", message="too many – “warps”", created=3.0)


def other_key(**parts: object) -> CacheKey:
    """KEY with some parts changed."""
    return CacheKey(KEY.group, {**KEY.parts, **parts})


class CacheConformance:
    """What every writable cache must do. ``make`` opens the cache in ``folder``; opened twice, it is the same cache."""

    def make(self, folder: Path) -> Cache:
        """An empty cache at first, afterwards the same one again."""
        raise NotImplementedError

    def test_a_miss_is_none(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).get(KEY) is None

    def test_gives_back_what_was_put(self, tmp_path: Path) -> None:
        self.make(tmp_path).put(KEY, [SLOW, FAST, FAILED])
        record = self.make(tmp_path).get(KEY)
        assert record is not None
        assert record.key == KEY
        assert sorted(record.entries, key=lambda e: e.created) == [SLOW, FAST, FAILED]
        assert record.best == FAST

    def test_entries_add_up(self, tmp_path: Path) -> None:
        cache = self.make(tmp_path)
        cache.put(KEY, [SLOW])
        cache.put(KEY, [FAILED])
        remeasured = Entry(SLOW.point, 0.7, created=9.0)
        cache.put(KEY, [remeasured])
        record = cache.get(KEY)
        assert record is not None
        assert len(record.entries) == 2
        assert record.find(SLOW.point) == remeasured
        assert record.find(FAILED.point) == FAILED

    def test_any_part_of_the_key_counts(self, tmp_path: Path) -> None:
        cache = self.make(tmp_path)
        cache.put(KEY, [FAST])
        for part in KEY.parts:
            assert cache.get(other_key(**{part: "changed"})) is None
        assert cache.get(CacheKey("softmax", KEY.parts)) is None

    def test_lists_by_group_and_parts(self, tmp_path: Path) -> None:
        cache = self.make(tmp_path)
        cache.put(KEY, [FAST])
        cache.put(other_key(target="sm_100"), [SLOW])
        cache.put(CacheKey("soft/max <lambda>", KEY.parts), [FAST])
        assert len(list(cache.records())) == 3
        assert len(list(cache.records("matmul"))) == 2
        assert [r.key for r in cache.records("matmul", {"target": "sm_90"})] == [KEY]
        assert len(list(cache.records("soft/max <lambda>"))) == 1

    def test_related_are_the_most_similar_first(self, tmp_path: Path) -> None:
        cache = self.make(tmp_path)
        far = other_key(target="sm_100", shape=[1, 1])
        near = other_key(shape=[2048, 2048])
        for key in (KEY, far, near):
            cache.put(key, [FAST])
        assert [r.key for r in cache.related(KEY)] == [near, far]
        assert [r.key for r in cache.related(KEY, same=["target"])] == [near]

    def test_explains_a_miss(self, tmp_path: Path) -> None:
        cache = self.make(tmp_path)
        assert "nothing of 'matmul'" in cache.explain(KEY)
        cache.put(other_key(target="sm_100"), [FAST])
        text = cache.explain(KEY)
        assert "target ('sm_100' there, 'sm_90' here)" in text
        assert "source" not in text
        cache.put(KEY, [FAST])
        assert cache.explain(KEY).startswith("hit: 1 entries")

    def test_writers_in_several_threads_leave_a_whole_record(self, tmp_path: Path) -> None:
        def write(warps: int) -> None:
            self.make(tmp_path).put(KEY, [Entry({"warps": warps}, float(warps))])

        threads = [threading.Thread(target=write, args=(1 << i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record = self.make(tmp_path).get(KEY)
        assert record is not None
        assert {e.milliseconds for e in record.entries} <= {1.0, 2.0, 4.0, 8.0, 16.0, 32.0}
        assert len(record.entries) >= self.least_kept_by_concurrent_writers

    least_kept_by_concurrent_writers = 6
    """How many of six simultaneous additions must survive; stores without locks override it with 1."""
