"""Tables of configs: what is found, in which order, and what happens to files that are damaged."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch

import helion
import helion_kernels
from helion_kernels import TableWarning, softmax
from helion_kernels.frame import choice, tables
from helion_kernels.frame.kernel import KERNELS
from helion_kernels.frame.tables import Entry, Signature, from_text, lookup, merged, slug, to_text, write
from helion_kernels.softmax import softmax_rows
from helion_kernels.tuning import WORTH

GPU = torch.device("cuda", 0)
CONFIG = helion.Config(block_sizes=[4], num_warps=8)


def signature(*sizes, kernel="softmax_rows", dtype="bfloat16", log="False"):
    return Signature(kernel, (f"{dtype}{list(sizes)}", "torch.bfloat16", log))


def entry(*sizes, config=CONFIG, **fields):
    return Entry(signature(*sizes, **fields), config, {"milliseconds": 0.1, "date": "2026-11-23"})


@pytest.fixture(autouse=True)
def h100(monkeypatch):
    monkeypatch.setattr(tables, "gpu_name", lambda device: "h100-80gb-hbm3")


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """A folder in place of the package's own."""
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(tables, "files", lambda package: tmp_path)
    return tmp_path / "configs"


def test_signatures():
    args = (torch.zeros(3, 5, dtype=torch.float16), None, 2, 0.5, True, "silu", torch.float32)
    found = Signature.of("k", args).arguments
    assert found == ("float16[3, 5]", "None", "int", "float", "True", "'silu'", "torch.float32")
    assert signature(5000, 4096).bucket == signature(8192, 4096)
    assert slug("NVIDIA H100 80GB HBM3") == "h100-80gb-hbm3"


def test_distances():
    wanted = signature(4096, 4096)
    assert wanted.distance(signature(4096, 4096)) == 0
    assert wanted.distance(signature(8192, 2048)) == 2
    assert 0 < wanted.distance(signature(4096, 4096, dtype="float16")) < 1
    for other in (
        signature(4096, 2**15), signature(4096), signature(4096, 4096, dtype="float32"),
        signature(4096, 4096, log="True"), signature(4096, 4096, kernel="other"),
    ):  # fmt: skip
        assert wanted.distance(other) is None


def test_text_and_back():
    entries = [entry(8192, 4096), entry(64, 4096)]
    text = to_text("softmax", "h100", entries)
    assert sorted(from_text(text), key=str) == sorted(entries, key=str)
    assert json.loads(text)["schema"] == 1


def test_a_table_holds_one_entry_for_each_bucket():
    newer = entry(6000, 4096, config=helion.Config(num_warps=2))
    assert merged([entry(8192, 4096), entry(64, 64)], [newer]) == [newer, entry(64, 64)]


def test_the_nearest_first_the_users_own_before_shipped_ones(shipped):
    far, near, same = entry(16384, 4096), entry(8192, 4096), entry(4096, 4096, config=helion.Config(num_warps=2))
    own = entry(4096, 4096)
    (shipped / "softmax.h100.json").write_text(to_text("softmax", "h100", [far, near, same]))
    write(tables.user_folder(), "softmax", "h100-80gb-hbm3", [own])
    assert lookup("softmax", GPU, signature(4096, 4096)) == [own, same, near]
    assert lookup("softmax", torch.device("cpu"), signature(4096, 4096)) == []
    assert lookup("rms_norm", GPU, signature(4096, 4096)) == []


def test_the_most_specific_shipped_table(shipped):
    (shipped / "softmax.h100.json").write_text(to_text("softmax", "h100", [entry(64, 64)]))
    (shipped / "softmax.h100-80gb.json").write_text(to_text("softmax", "h100-80gb", [entry(4096, 4096)]))
    assert len(lookup("softmax", GPU, signature(4096, 4096))) == 1
    (shipped / "softmax.h100-80gb.json").unlink()
    (shipped / "softmax.h10.json").write_text("not ours")
    tables.tables.cache_clear()
    assert lookup("softmax", GPU, signature(4096, 4096)) == []


DAMAGED = {
    "cut off": to_text("softmax", "h100", [entry(64, 64)])[:-20],
    "an older schema": json.dumps({"schema": 0, "entries": []}),
    "no object": "[]",
    "no entries": json.dumps({"schema": 1}),
    "an entry without a config": json.dumps({"schema": 1, "entries": [{"kernel": "k", "arguments": []}]}),
    "a config that is none": json.dumps(
        {"schema": 1, "entries": [{"kernel": "k", "arguments": [], "measured": {}, "config": {"use_yz_grid": 3}}]}
    ),
    "not text": "\ud800",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_table_of_the_user_is_set_aside(shipped, text):
    folder = tables.user_folder()
    folder.mkdir(parents=True)
    path = folder / "softmax.h100-80gb-hbm3.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.warns(TableWarning, match="moved to softmax.h100"):
        assert lookup("softmax", GPU, signature(64, 64)) == []
    assert not path.exists() and len(list(folder.glob("*.aside-*"))) == 1
    write(folder, "softmax", "h100-80gb-hbm3", [entry(64, 64)])
    assert lookup("softmax", GPU, signature(64, 64)) == [entry(64, 64)]


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_shipped_table_is_passed_over(shipped, text):
    path = shipped / "softmax.h100.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.warns(TableWarning, match="passed over"):
        assert lookup("softmax", GPU, signature(64, 64)) == []
    assert path.exists()


def chosen(monkeypatch, found):
    """What a kernel of softmax would use on the CPU if the tables held `found`."""
    monkeypatch.setattr(choice, "lookup", lambda op, device, signature: found)
    x = torch.randn(4, 64)
    softmax_rows.reset()
    softmax(x)
    bound = softmax_rows.bind((x, torch.float32, False))
    softmax_rows.reset()
    return bound.config, bound.default_config()


def test_a_config_is_repaired_for_the_shape(monkeypatch, interpret):
    config, default = chosen(monkeypatch, [entry(4, 64, config=helion.Config(block_sizes=[64, 8], num_warps=64))])
    assert config.block_sizes == (64,) and config.num_warps == 32
    assert config != default


def test_the_next_entry_where_one_is_of_no_use(monkeypatch, interpret):
    useless = entry(4, 64, config=helion.Config(num_warps=1))
    repair = helion.Config.repair

    def repaired(self, spec):
        if self.num_warps == 1:
            raise helion.exc.InvalidConfig(key="num_warps", problem="is 1", allowed="2")
        return repair(self, spec)

    monkeypatch.setattr(helion.Config, "repair", repaired)
    config, default = chosen(monkeypatch, [useless, entry(4, 64, config=helion.Config(num_warps=2))])
    assert config.num_warps == 2
    assert chosen(monkeypatch, [useless])[0] == default
    assert chosen(monkeypatch, [])[0] == default


def test_what_needs_too_much_shared_memory_is_not_used(interpret, monkeypatch):
    from helion.runtime.bound import BoundKernel
    from helion.runtime.targets import parse_target

    small = parse_target("sm_90")
    monkeypatch.setattr(BoundKernel, "target", property(lambda self: small))
    bound = softmax_rows.bind((torch.randn(4, 64), torch.float32, False))
    assert choice._fitted(entry(4, 64).config, bound, small) is not None
    object.__setattr__(small, "shared_memory", -1)
    assert choice._fitted(entry(4, 64).config, bound, small) is None
    softmax_rows.reset()


SHIPPED = sorted((Path(helion_kernels.__file__).parent / "configs").glob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_whole(path):
    """Its kernels exist, and every entry says where, when and how it was measured, and that it was faster."""
    op, gpu = path.name.removesuffix(".json").split(".")
    importlib.import_module(f"helion_kernels.{helion_kernels.OPS[op]}")
    names = {made.name for made in KERNELS}
    entries = from_text(path.read_text())
    assert entries
    for entry in entries:
        assert entry.signature.kernel in names
        measured = entry.measured
        assert measured["milliseconds"] * WORTH < measured["default_milliseconds"]
        assert gpu in slug(measured["device"]) and "/" not in measured["command"]
        assert {"torch", "triton", "helion-core"} <= set(measured["versions"]) and measured["date"] >= "2026-11"
