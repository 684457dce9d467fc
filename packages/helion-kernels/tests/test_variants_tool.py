"""tools/attention_variants.py: its configs are those of kernels as they are now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from helion.runtime.targets import parse_target

PATH = Path(__file__).parents[3] / "tools" / "attention_variants.py"
if not PATH.exists():
    pytest.skip("only in the repository", allow_module_level=True)


@pytest.mark.parametrize("causal", [False, True])
def test_all_configs_are_legal(causal):
    spec = importlib.util.spec_from_file_location("attention_variants", PATH)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for kernel, args in tool.kernels((1, 4, 2, 256, 64), causal, "cpu"):
        bound, names = kernel.bind(args), []
        for name, config in tool.candidates(bound, args, parse_target("sm_90")):
            assert "tl.dot" in bound.to_triton_code(config)
            names.append(name)
        assert names[0] == "default" and len(names) == len(set(names)) > 5
