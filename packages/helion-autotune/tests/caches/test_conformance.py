"""Every writable cache of ours passes the suite that third parties' ones are held to."""

from __future__ import annotations

import pytest

from helion_autotune.caches.base import Cache
from helion_autotune.caches.layered import LayeredCache
from helion_autotune.caches.local import LocalCache
from helion_autotune.caches.remote import FsspecCache
from helion_autotune.testing.caches import CacheConformance


class TestLocal(CacheConformance):
    def make(self, folder) -> Cache:
        return LocalCache(folder)


class TestFsspecOnDisk(CacheConformance):
    least_kept_by_concurrent_writers = 1

    @pytest.fixture(autouse=True)
    def _needs_fsspec(self) -> None:
        pytest.importorskip("fsspec", reason="the extra `fsspec` is not installed")

    def make(self, folder) -> Cache:
        return FsspecCache(f"file://{folder}")


class TestFsspecInMemory(TestFsspecOnDisk):
    def make(self, folder) -> Cache:
        return FsspecCache(f"memory://{folder}")


class TestLayered(CacheConformance):
    def make(self, folder) -> Cache:
        return LayeredCache([LocalCache(folder / "near"), LocalCache(folder / "far")])
