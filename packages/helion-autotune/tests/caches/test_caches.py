"""What is particular to each cache: damage, full disks, layers, packages, opening by name."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helion_autotune.caches import CacheKey, Entry, open_cache
from helion_autotune.caches.layered import LayeredCache
from helion_autotune.caches.local import LocalCache
from helion_autotune.caches.packaged import PackagedCache
from helion_autotune.errors import CacheReadOnly, UnknownName
from helion_autotune.testing.caches import FAST, KEY, SLOW, other_key
from helion_autotune.trial import Trial


def only_file(root: Path) -> Path:
    (path,) = root.glob("*/*.json")
    return path


DAMAGES = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "not text": lambda text: b"\xff\xfe\x00garbage",
    "a list": lambda text: "[1, 2]",
    "a newer schema": lambda text: text.replace('"schema": 1', '"schema": 99'),
    "a status of the future": lambda text: text.replace('"ok"', '"superb"'),
    "an unknown field": lambda text: text.replace('"winner"', '"loser"'),
    "no entries": lambda text: text.replace('"entries"', '"exits"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_set_aside(tmp_path, damage) -> None:
    cache = LocalCache(tmp_path)
    cache.put(KEY, [FAST])
    path = only_file(tmp_path)
    damaged = damage(path.read_text())
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    with pytest.warns(UserWarning, match=r"set aside as .*\.corrupt-"):
        assert cache.get(KEY) is None
    (aside,) = path.parent.glob("*.corrupt-*")
    assert aside.read_bytes() == (damaged if isinstance(damaged, bytes) else damaged.encode()), "kept for inspection"
    cache.put(KEY, [SLOW])
    record = cache.get(KEY)
    assert record is not None
    assert record.entries == (SLOW,)


def test_a_damaged_file_does_not_hide_the_others(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    cache.put(KEY, [FAST])
    only_file(tmp_path).write_text("{")
    cache.put(other_key(target="sm_100"), [SLOW])
    with pytest.warns(UserWarning, match="set aside"):
        assert [r.best for r in cache.records()] == [SLOW]


def test_a_record_of_another_key_under_this_name_is_no_hit(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    cache.put(KEY, [FAST])
    path = only_file(tmp_path)
    path.write_text(path.read_text().replace("sm_90", "sm_80"))
    assert cache.get(KEY) is None


def test_a_full_disk_is_a_warning_and_leaves_no_debris(tmp_path, monkeypatch) -> None:
    cache = LocalCache(tmp_path)
    cache.put(KEY, [SLOW])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left on device; the result is not kept"):
        cache.put(KEY, [FAST])
    assert not list(tmp_path.rglob("*.tmp"))
    record = cache.get(KEY)
    assert record is not None
    assert record.entries == (SLOW,)


def test_an_unwritable_place_is_a_warning(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    cache = LocalCache(tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match="the result is not kept"):
        cache.put(KEY, [FAST])


def test_files_are_plain_json_with_a_schema(tmp_path) -> None:
    LocalCache(tmp_path).put(KEY, [FAST])
    data = json.loads(only_file(tmp_path).read_text())
    assert data["schema"] == 1
    assert data["key"]["target"] == "sm_90"
    assert data["entries"][0]["point"] == {"warps": 8}


def test_groups_that_look_alike_do_not_mix(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    for group in ("a/b", "a_b", "../a_b"):
        cache.put(CacheKey(group, {"x": 1}), [Entry({"group": group}, 1.0)])
    for group in ("a/b", "a_b", "../a_b"):
        assert [r.key.group for r in cache.records(group)] == [group]
    assert {p.parent.parent for p in tmp_path.rglob("*.json")} == {tmp_path}, "no group leaves the root"


WRITER = """
import sys
from helion_autotune.caches import CacheKey, Entry
from helion_autotune.caches.local import LocalCache
cache = LocalCache(sys.argv[1])
for i in range(10):
    cache.put(CacheKey("k", {"shape": 1}), [Entry({"writer": sys.argv[2], "i": i}, 1.0 + i)])
"""


def test_processes_that_write_one_key_lose_nothing(tmp_path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [w.wait() for w in writers] == [0, 0]
    record = LocalCache(tmp_path).get(CacheKey("k", {"shape": 1}))
    assert record is not None
    assert len(record.entries) == 20


def test_the_best_is_the_fastest_winner(tmp_path) -> None:
    cache = LocalCache(tmp_path)
    lucky = Entry({"warps": 2}, 0.1)
    cache.put(KEY, [SLOW, lucky])
    assert cache.get(KEY).best == lucky
    assert cache.get(KEY).winner is None
    cache.put(KEY, [FAST])
    assert cache.get(KEY).best == cache.get(KEY).winner == FAST


def test_entries_come_from_trials_and_go_back() -> None:
    good = Trial({"warps": 1}, milliseconds=2.0)
    bad = Trial({"warps": 2}, "timeout", message="took longer than 60 s")
    assert [Entry.from_trial(t).to_trial() for t in (good, bad)] == [good, bad]
    duplicate = Trial({"warps": 3}, "duplicate", 2.0)
    assert Entry.from_trial(duplicate).status == "ok"


def test_layers_answer_in_order_and_write_where_they_can(tmp_path) -> None:
    near, far = LocalCache(tmp_path / "near"), LocalCache(tmp_path / "far")
    far.put(KEY, [SLOW, Entry(FAST.point, 9.0)])
    near.put(KEY, [FAST])
    both = LayeredCache([near, far])
    record = both.get(KEY)
    assert sorted(e.milliseconds for e in record.entries) == [0.5, 0.75], "the nearer entry has the last word"
    far.writable = False
    both.put(other_key(target="x"), [SLOW])
    assert near.get(other_key(target="x")) is not None
    assert far.get(other_key(target="x")) is None
    near.writable = False
    with pytest.raises(CacheReadOnly, match="no layer"):
        LayeredCache([near, far]).put(KEY, [FAST])


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> str:
    """A package with a table, in a zip file."""
    LocalCache(tmp_path / "table").put(KEY, [FAST])
    path = only_file(tmp_path / "table")
    archive = tmp_path / "shipped.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("shipped_kernels/__init__.py", "")
        file.write(path, f"shipped_kernels/configs/matmul/{path.name}")
        file.writestr("shipped_kernels/configs/matmul/broken.json", "{")
    monkeypatch.syspath_prepend(str(archive))
    return "shipped_kernels"


@pytest.mark.filterwarnings("ignore:cache package")
def test_a_packaged_table_reads_from_a_zip_and_refuses_writes(shipped) -> None:
    cache = PackagedCache(shipped)
    assert cache.get(KEY).best == FAST
    assert cache.get(other_key(target="x")) is None
    assert [r.key for r in cache.records("matmul")] == [KEY]
    assert list(cache.records("softmax")) == []
    with pytest.raises(CacheReadOnly, match="read-only"):
        cache.put(KEY, [SLOW])


def test_a_damaged_packaged_file_is_passed_over(shipped) -> None:
    with pytest.warns(UserWarning, match="part of a package"):
        assert len(list(PackagedCache(shipped).records())) == 1


def test_caches_open_by_name(tmp_path, shipped) -> None:
    assert isinstance(open_cache("local"), LocalCache)
    layers = open_cache(f"local:{tmp_path}/a, packaged:{shipped}").layers
    assert [type(layer) for layer in layers] == [LocalCache, PackagedCache]
    assert layers[0].root == tmp_path / "a"
    with pytest.raises(UnknownName, match=r"known: .*local"):
        open_cache("redis:here")
    with pytest.raises(ValueError, match="no cache is named"):
        open_cache(" , ")


def test_urls_open_with_fsspec() -> None:
    pytest.importorskip("fsspec", reason="the extra `fsspec` is not installed")
    assert open_cache("memory://tuning").describe() == "memory://tuning"
