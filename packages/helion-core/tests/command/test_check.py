"""`python -m helion check`."""

from pathlib import Path

import pytest

from helion.command.main import main

FOLDER = Path(__file__).parent
EXAMPLES = FOLDER.parents[1] / "examples"


def check(*arguments):
    return main(["check", *map(str, arguments)])


def test_all_kernels_of_a_file_for_all_targets(capsys):
    assert check(FOLDER / "sample_kernels.py", "--target", "sm_80", "--target", "gfx942") == 0
    out = capsys.readouterr().out
    # two calls of matmul, and scale under each of its two configs
    assert "8 of 8 compile" in out
    assert sum(line.split()[:2] == ["scale", "gfx942"] for line in out.splitlines()) == 2
    assert "bf16[512, 256], bf16[256, 384]" in out and "mfma" in out and "mma.sync" in out


def test_failures_are_told_and_the_exit_status_says_so(capsys):
    assert check(FOLDER / "wrong_kernels.py", "--target", "sm_90") == 1
    out = capsys.readouterr().out
    assert "0 of 2 compile" in out and "HLN503" in out
    assert "bytes of shared memory are needed, there are 232448" in out or "[HLN303]" in out
    assert "`typical` does not call `forgotten`" in out


def test_a_file_that_cannot_be_read_does_not_hide_the_others(capsys, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import torch\nraise ValueError('not today')\n")
    assert check(broken, tmp_path / "none.py", FOLDER / "sample_kernels.py", "--target", "sm_80") == 1
    out = capsys.readouterr().out
    assert "not today" in out and "there is no file" in out and "4 of 6 compile" in out


def test_an_unknown_target(capsys):
    assert check(FOLDER / "sample_kernels.py", "--target", "h100") == 1
    assert "[HLN305]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["matmul", "softmax", "jagged_mean"])
def test_examples(name, capsys):
    assert check(EXAMPLES / f"{name}.py", "--target", "sm_90", "--target", "gfx942") == 0
    assert "ok" in capsys.readouterr().out


@pytest.mark.slow
def test_every_example_compiles_for_every_target(capsys):
    files = [f for f in sorted(EXAMPLES.glob("*.py")) if not f.stem.startswith("_") and f.stem != "demo"]
    assert check(*files) == 1  # fp8_gemm needs 8-bit floats, which sm_80 does not have
    *_, last = capsys.readouterr().out.strip().splitlines()
    passed, _, total, _ = last.split()
    assert int(total) - int(passed) == 1 and int(total) > 250
