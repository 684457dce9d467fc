"""`python -m helion explain`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helion.command.main import main

FILE = str(Path(__file__).parent / "sample_kernels.py")
MATMUL = f"{FILE}:matmul"
CONFIG = '{"block_sizes": [64, 64, 32], "num_warps": 4, "num_stages": 3, "indexing": "pointer", "pid_type": "flat"}'
ARGS = "bf16[1000, 512], bf16[512, 256].strides[1, 512]"


def explain(*arguments):
    return main(["explain", *arguments])


def test_the_text(capsys, golden):
    """Everything that does not depend on the version of Triton."""
    assert explain(MATMUL, "--args", ARGS, "--config", CONFIG, "--section", "program,work,roofline") == 0
    golden("explain_matmul.txt", "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()))


def test_all_sections(capsys):
    assert explain(MATMUL, "--args", ARGS, "--config", CONFIG) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("== ")] == [
        "== program ==", "== space ==", "== code ==", "== facts ==", "== work ==", "== roofline ==",
    ]  # fmt: skip
    assert "search space of matmul" in out and "@triton.jit" in out and "wgmma" in out
    assert "\x1b" not in out, "colours only on a terminal"


def test_two_configs_side_by_side(capsys, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(CONFIG.replace("[64, 64, 32]", "[64, 64, 64]"))
    assert explain(MATMUL, "--args", ARGS, "--config", CONFIG, "--config", str(other)) == 0
    out = capsys.readouterr().out
    assert "config 2: as config 1, but helion.Config(block_sizes=[64, 64, 64])" in out
    assert "-    BLOCK_K: tl.constexpr = 32" in out and "+    BLOCK_K: tl.constexpr = 64" in out
    (shared,) = (line.split() for line in out.splitlines() if line.lstrip().startswith("shared memory"))
    assert shared[2] != shared[4] and shared[3] == shared[5] == "bytes"


def test_json(capsys):
    assert explain(MATMUL, "--args", ARGS, "--config", CONFIG, "--target", "gfx942", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["kernel"] == "matmul" and found["target"] == "gfx942" and found["config"]["num_warps"] == 4
    assert found["work"]["matrix"] == {"half": 2 * 1000 * 512 * 256} and found["grid"] == [64]
    assert found["facts"]["matrix_instructions"]["mfma"] > 0 and found["gpu"]["name"] == "MI300X"
    assert found["roofline"]["seconds"] > 0 and found["occupancy"]["programs"] >= 1


def test_a_target_without_figures(capsys):
    assert explain(MATMUL, "--args", ARGS, "--config", CONFIG, "--target", "sm_86", "--section", "facts,roofline") == 0
    assert "no figures are known for sm_86" in capsys.readouterr().out


def test_arguments_from_typical(capsys):
    assert explain(f"{FILE}:matmul", "--call", "2", "--section", "work", "--dtype", "f16") == 0
    assert capsys.readouterr().out.startswith("matmul(f16[64, 64], f16[64, 64]) on sm_90 (H100 SXM)")
    assert explain(f"{FILE}:scale", "--section", "work") == 0
    assert capsys.readouterr().out.startswith("scale(bf16[4096], 2.0)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py:matmul"], "[HLN503] there is no file `nowhere.py`"),
        ([FILE], "help: write FILE:KERNEL with one of matmul, scale"),
        ([f"{FILE}:mutmal"], "[HLN503] there is no kernel `mutmal`"),
        ([f"{FILE}:matmul", "--call", "3"], "`typical` makes 2 different calls of `matmul`"),
        ([f"{FILE}:matmul", "--section", "cost"], "there is no section `cost`"),
        ([f"{FILE}:matmul", "--target", "h100"], "[HLN305] unknown target `h100`"),
        ([f"{FILE}:matmul", "--config", '{"block_sizes": [63, 64, 64]}'], "[HLN301] config key `block_sizes[0]`"),
        ([f"{FILE}:matmul", "--config", "nowhere.json"], "nowhere.json"),
        ([f"{FILE}:matmul", "--args", "f16[4, 4], f16[5, 4]"], "[HLN101]"),
        ([f"{FILE}:matmul", "--args", "f16[4, 4]"], "missing a required argument: 'y'"),
        ([__file__], "defines no kernel"),
    ],
)  # fmt: skip
def test_mistakes(capsys, arguments, message):
    assert explain(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""


def test_as_a_command():
    command = [
        sys.executable,
        "-m",
        "helion",
        "explain",
        MATMUL,
        "--args",
        ARGS,
        "--config",
        CONFIG,
        "--section",
        "work",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "products (half)" in done.stdout and done.stderr == ""


def test_help_shows_commands_to_paste(capsys):
    for arguments in (["--help"], ["explain", "--help"], ["check", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "python -m helion" in capsys.readouterr().out
