"""`print_repro`: a script that repeats a call, and runs as it stands."""

import functools
import math
import runpy
import subprocess
import sys

import pytest
import torch

import helion
import helion.language as hl

BIAS = torch.randn(50)
SCALE = 3


def doubled(acc):
    return acc * math.floor(2.5) * SCALE


@helion.kernel(use_default_config=True, print_repro=True, dot_precision="ieee")
def matmul(x: torch.Tensor, y: torch.Tensor, epilogue, rows: torch.Tensor, n: int = 3) -> torch.Tensor:
    # a comment that stays
    out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = epilogue(acc) + BIAS[tile_n][None, :] + rows[tile_m][:, None] + n
    return out


@helion.kernel(use_default_config=True, print_repro=True)
def total(xs: list[torch.Tensor], offsets: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(xs[0])
    for tile in hl.tile(out.size(0)):
        out[tile] = xs[0][tile] + xs[1][tile] + offsets[tile] * flags[tile]
    return out


@pytest.fixture(autouse=True)
def _fresh():
    yield
    matmul.reset()
    total.reset()


def run(script, tmp_path):
    """Runs the script as a file: kernels need source that can be read."""
    (tmp_path / "repro.py").write_text(script)
    runpy.run_path(str(tmp_path / "repro.py"))


def test_the_script_runs_and_calls_with_the_same_layout(capsys, tmp_path):
    x, y = torch.randn(30, 20), torch.randn(50, 20).t()
    matmul(x, y, doubled, torch.arange(30))
    script = capsys.readouterr().err
    assert "# a comment that stays" in script and "dot_precision='ieee'" in script
    assert f"config={next(iter(matmul._bound.values()))[0].config!r}" in script
    assert "def doubled(acc):" in script and "SCALE = 3" in script and "import math" in script
    assert "y = made([20, 50], [1, 20], torch.float32, 'cpu')" in script and "BIAS = made([50]" in script
    (tmp_path / "repro.py").write_text(script)
    done = subprocess.run([sys.executable, tmp_path / "repro.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_lambda_as_an_argument(capsys, tmp_path):
    factor = 4
    epilogue = lambda acc: acc * factor  # noqa: E731
    matmul(torch.randn(4, 4), torch.randn(4, 50), epilogue, torch.arange(4))
    run(capsys.readouterr().err, tmp_path)


def test_lists_small_integers_and_unaligned_tensors(capsys, tmp_path):
    memory = torch.randn(41)
    total([memory[1:], torch.randn(40)], torch.arange(40, 80), torch.ones(40, dtype=torch.bool))
    script = capsys.readouterr().err
    assert "shift=1" in script or "shift=" in script
    assert f"torch.tensor({list(range(40, 80))}, dtype=torch.int64" in script and "[True, True" in script
    run(script, tmp_path)


def test_large_integer_tensors_keep_their_range(capsys):
    offsets = torch.arange(5, 5 + 2000)
    total([torch.randn(2000), torch.randn(2000)], offsets, torch.zeros(2000, dtype=torch.bool))
    assert "low=5, high=2004" in capsys.readouterr().err


def test_it_is_printed_once_for_each_specialisation(capsys):
    args = torch.randn(8, 8), torch.randn(8, 50), doubled, torch.arange(8)
    matmul(*args)
    matmul(*args)
    assert capsys.readouterr().err.count("Repeats a call") == 1
    matmul(torch.randn(9, 8), *args[1:3], torch.arange(9))
    assert capsys.readouterr().err.count("Repeats a call") == 1


def test_what_has_no_text_is_told(capsys):
    matmul(torch.randn(4, 4), torch.randn(4, 50), functools.partial(torch.mul, other=2.0), torch.arange(4))
    assert "epilogue_function = None  # it is a partial, which has no text: put it here" in capsys.readouterr().err


def test_the_environment_asks_for_it(monkeypatch, capsys):
    monkeypatch.setenv("HELION_PRINT_REPRO", "1")
    monkeypatch.setenv("HELION_USE_DEFAULT_CONFIG", "1")

    @helion.kernel()
    def copy(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile]
        return out

    copy(torch.randn(8))
    assert "Repeats a call of the kernel `copy`" in capsys.readouterr().err


def test_a_search_that_fails_leaves_a_script_without_a_config(monkeypatch, capsys):
    from helion.tuning import choose

    def fail(*args, **kwargs):
        raise RuntimeError("no luck")

    monkeypatch.setattr(choose, "choose", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        matmul(torch.randn(4, 4), torch.randn(4, 50), doubled, torch.arange(4))
    assert "@helion.kernel(use_default_config=True, dot_precision='ieee')" in capsys.readouterr().err
