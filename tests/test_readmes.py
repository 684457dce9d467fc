"""What a reader pastes from a README works: its Python, block after block, in one process on the CPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
# What says why a block is not run here: it needs a GPU, leaves something out, or compares runs that somebody has kept.
NOT_HERE = ('device="cuda")', ".cuda()", "# on a GPU", "(...)", 'find("before")')


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_python_blocks_run(readme, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    here = [block for block in blocks if not any(mark in block for mark in NOT_HERE)]
    assert here
    (tmp_path / "pasted.py").write_text("\n\n".join(here))
    environment = {**os.environ, "HELION_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "pasted.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
