"""An export in a process where importing triton or helion fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import exported_kernels
import pytest
import torch

ROOT = Path(__file__).parents[4]

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("triton", "helion", "helion_autotune"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

sys.meta_path.insert(0, Blocked())
"""
ON_A_CPU = """
import contextlib, torch
import exported
from exported import loader
loader.device_index = lambda tensor: 0
loader.device_target = lambda index: "sm_90"
loader.device_context = lambda index: contextlib.nullcontext()
loader.current_stream = lambda index: 5
loader.LIBRARIES["cuda"] = sys.argv[1]
x, y = torch.randn(64, 32), torch.randn(32, 48)
out = exported.matmul(x, y)
print(x.data_ptr(), y.data_ptr(), out.data_ptr(), *out.shape)
assert not {"triton", "helion"} & set(sys.modules)
"""


def test_an_export_runs(tmp_path, libcuda):
    args = torch.zeros(64, 32), torch.zeros(32, 48)
    exported_kernels.matmul.bind(args).export(tmp_path / "exported", targets=["sm_90"])
    log = tmp_path / "log"
    environment = os.environ | {"FAKE_CUDA_LOG": str(log), "FAKE_CUDA_SIZES": "8,8,8"}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + ON_A_CPU, libcuda], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *pointers, rows, columns = map(int, done.stdout.split())
    launch = json.loads(log.read_text().splitlines()[-1])
    found = [int.from_bytes(bytes.fromhex(p), "little") for p in launch["parameters"]]
    assert found == pointers and (rows, columns) == (64, 48)
    assert launch["call"] == "launch" and launch["stream"] == 5


@pytest.mark.gpu
@pytest.mark.skipif(not (ROOT / "tools/check_export.py").exists(), reason="the tool is part of the repository")
def test_matmul_and_softmax_run_on_a_gpu():
    subprocess.run([sys.executable, ROOT / "tools/check_export.py"], check=True)
