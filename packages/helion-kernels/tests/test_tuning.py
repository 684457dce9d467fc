"""`tune`, with searches that need no GPU: what is searched, and what is written."""

from __future__ import annotations

import json

import pytest
import torch

import helion
from helion import exc
from helion.runtime.targets import parse_target
from helion.tuning.tuner import Tuner
from helion_autotune.evaluate import Measurement
from helion_kernels import softmax, tune
from helion_kernels.frame import tables
from helion_kernels.frame.tables import from_text
from helion_kernels.softmax import softmax_rows
from helion_kernels.tuning import Found, found_by, tune_with

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("interpret")


def run(search, **options):
    lines = []
    arguments = {"shapes": [(4, 32)], "dtypes": [torch.float32], "device": CPU, "gpu": "toy", "report": lines.append}
    return tune_with(search, options.pop("op", "softmax"), **{**arguments, **options}), lines


def faster(bound, args):
    return Found(helion.Config(num_warps=8), 1.0, 2.0)


def test_every_kernel_forward_and_backward_is_tuned_and_written():
    results, lines = run(faster)
    names = {r.signature.kernel for r in results}
    assert names == {"softmax_rows", "softmax_rows_backward", "softmax_columns", "softmax_columns_backward"}
    assert len(lines) == len(results) and "1.0000 ms, default 2.0000 ms" in lines[0]
    table = from_text((tables.user_folder() / "softmax.toy.json").read_text())
    assert len(table) == len(results)
    measured = table[0].measured
    assert measured["milliseconds"] == 1.0 and set(measured["versions"]) == {"torch", "triton", "helion-core"}
    assert {"date", "device", "command"} <= set(measured)


def test_calls_use_what_was_found():
    run(faster)
    x = torch.randn(4, 32)
    assert softmax_rows.bind((x, torch.float32, False)).config.num_warps == 8
    torch.testing.assert_close(softmax(x), torch.softmax(x, -1))
    softmax_rows.reset()


@pytest.mark.parametrize(
    "found", [None, Found(helion.Config(num_warps=8), 2.0, 2.0), Found(helion.Config(), 1.99, 2.0)]
)
def test_what_does_not_beat_the_default_is_not_written(found):
    results, lines = run(lambda bound, args: found)
    assert all(r.entry is None for r in results)
    assert all("the default stays" in line for line in lines)
    assert not (tables.user_folder() / "softmax.toy.json").exists()


def test_runs_add_to_the_table():
    run(faster)
    run(lambda bound, args: Found(helion.Config(num_warps=2), 0.5, 2.0), shapes=[(4, 32), (4, 256)])
    table = from_text((tables.user_folder() / "softmax.toy.json").read_text())
    assert {e.config.num_warps for e in table} == {2}
    assert len({e.signature for e in table}) == len(table)


def test_a_folder_and_shapes_of_the_operation(tmp_path, monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["helion_kernels.softmax"], "SHAPES", ((3, 16),))
    run(faster, op=softmax, shapes=None, folder=tmp_path / "out")
    data = json.loads((tmp_path / "out" / "softmax.toy.json").read_text())
    assert data["op"] == "softmax" and data["gpu"] == "toy"
    assert any("[3, 16]" in e["arguments"][0] for e in data["entries"])


def test_a_search_of_helions_tuner():
    """The whole way to a config for an H100 that is not there: real compilations, simulated times."""

    class Simulated:
        reference = None

        def __call__(self, compiled, best_ms):
            return Measurement(1.0 + compiled.facts["registers"] / 1000)

        def interleave(self, compileds):
            return [1.0 + c.facts["registers"] / 1000 for c in compileds]

        def close(self):
            pass

    import dataclasses

    args = (torch.randn(64, 128), torch.float32, False)
    bound = softmax_rows.bind(args)
    before = bound.kernel.settings
    bound.kernel.settings = dataclasses.replace(before, autotune_budget_seconds=2.0, autotune_precompile_jobs=2)
    h100 = parse_target("sm_90")
    try:
        found = found_by(Tuner(bound, args, h100, Simulated()), bound.default_config(h100))
    finally:
        bound.kernel.settings = before
        softmax_rows.reset()
    assert found is not None and found.milliseconds <= found.default_milliseconds


def test_mistakes():
    with pytest.raises(exc.InvalidArgument, match=r"tuning for `cpu`[\s\S]*a machine with a GPU"):
        tune("softmax", device="cpu")
    with pytest.raises(exc.InvalidArgument, match="the operation 'softmix'"):
        tune("softmix", device="cpu")
    with pytest.raises(exc.InvalidArgument, match="'softmix'"):
        run(faster, op="softmix")
