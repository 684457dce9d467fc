"""HELION_LOGS and HELION_PRINT_OUTPUT_CODE, each in a process of its own as a user has them."""

import os
import subprocess
import sys

import pytest

INFO = "[INFO helion.runtime.bound] double: uses helion.Config("
DEBUG = "[DEBUG helion.runtime.kernel] double: traced for x: float32[8], n: int"
SCRIPT = """
import torch
import helion
import helion.language as hl


@helion.kernel(use_default_config=True)
def double(x: torch.Tensor, n: int = 2) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * n
    return out


assert (double(torch.ones(8)) == 2).all()
"""


@pytest.fixture
def run(tmp_path):
    """`run(**environment)`: what the script writes to stderr, line by line."""
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(**environment):
        done = subprocess.run(
            [sys.executable, tmp_path / "script.py"], env=os.environ | environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stderr.splitlines()

    return start


def test_all_shows_info_plus_all_debug_too(run):
    lines = run(HELION_LOGS="all")
    assert [line[: len(INFO)] for line in lines] == [INFO]
    lines = run(HELION_LOGS="+all", HELION_PRINT_OUTPUT_CODE="1")
    assert DEBUG in lines and any(line.startswith(INFO) for line in lines)
    assert any(line.startswith("def _helion_double(") for line in lines)


def test_one_module(run):
    assert run(HELION_LOGS="+helion.runtime.kernel") == [DEBUG]
