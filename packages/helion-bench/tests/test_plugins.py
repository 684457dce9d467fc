"""Plug-ins that do not load, or are something else: told by name, and left out where nobody names them."""

import pytest

from helion_autotune.registry import Registry
from helion_bench.__main__ import main
from helion_bench.backends import catalogue as backends
from helion_bench.cases import catalogue as cases
from helion_bench.errors import InvalidRequest
from helion_bench.plugins import PluginWarning, make
from helion_bench.run import list_backends, list_ops

GROUPS = ("helion_bench.cases", "helion_bench.backends")


class Raising:
    name = "raising"

    def __init__(self):
        raise RuntimeError("no licence")


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """An installed package whose entry points lead nowhere, or to something else."""
    info = tmp_path / "broken_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugins\nVersion: 1.0\n")
    points = "gone = no_such_module:Thing\nodd = json:dumps\n"
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{points}\n" for group in GROUPS))
    monkeypatch.syspath_prepend(str(tmp_path))


def test_they_cost_nobody_else(broken):
    with pytest.warns(PluginWarning) as told:
        names = {key.op for key in cases.cases(passes=["fwd"], extent="cpu-quick")}
        ours = [b.name for b in backends.backends()]
        assert {op.name for op in list_ops()} == names
        assert set(ours) < {b.name for b in list_backends("cpu")}
    assert "softmax" in names and "helion" in ours and not {"gone", "odd"} & {*names, *ours}
    texts = {str(w.message) for w in told}
    for group in GROUPS:
        assert any(f"{group}: 'gone' (no_such_module:Thing) cannot be imported: ModuleNotFound" in t for t in texts)
        assert any(f"'odd' of {group} cannot be used (<function dumps" in t and "no subclass of" in t for t in texts)


def test_who_names_one_is_told(broken):
    with pytest.raises(InvalidRequest, match=r"helion_bench\.cases: 'gone' .* cannot be imported"):
        cases.cases(["gone", "softmax"])
    with pytest.raises(InvalidRequest, match=r"'odd' of helion_bench\.backends cannot be used"):
        backends.backends(["odd", "eager"])


def test_names_must_be_those_of_the_entry_points():
    registry = Registry("of_a_test")
    registry.register("misnamed", type("Misnamed", (), {"name": "another"}))
    with pytest.raises(InvalidRequest, match="it calls itself 'another': both must be the same"):
        make(registry, "misnamed", object)
    registry.register("raising", Raising)
    with pytest.raises(InvalidRequest, match="RuntimeError: no licence"):
        make(registry, "raising", object)


def test_warnings_of_plug_ins_name_no_place_in_our_code(broken, capsys):
    assert main(["list", "ops"]) == 0
    err = capsys.readouterr().err
    assert (
        "warning: left out: helion_bench.cases: 'gone' (no_such_module:Thing) cannot be imported" in err
        and ".py" not in err
    )
