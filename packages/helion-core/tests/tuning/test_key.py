"""What must change the key of a result, and what must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from helion.tuning.key import cache_key

HEAD = """
import torch, helion, helion.language as hl
FACTOR = 2.0
UNUSED = 1

def helper(x):
    return x * FACTOR

@helion.kernel(SETTINGS)
def scaled(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    # a comment
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = helper(x[tile]) + y[tile]
    return out
"""

_count = iter(range(10_000))


@pytest.fixture
def key(tmp_path, monkeypatch, h100):
    """`key(text, settings, args)`: the key of the kernel `scaled` in a module with that text."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text=HEAD, settings="", args=None, search=None):
        name = f"keyed_{next(_count)}"
        (tmp_path / f"{name}.py").write_text(text.replace("SETTINGS", settings))
        module = __import__(name)
        args = args or (torch.randn(64), torch.randn(64))
        return cache_key(module.scaled.bind(args), args, h100, search or {"effort": "full"})

    return make


CHANGES = {
    "the kernel": HEAD.replace("+ y[tile]", "- y[tile]"),
    "a helper": HEAD.replace("x * FACTOR", "x * FACTOR + 1"),
    "a captured value": HEAD.replace("FACTOR = 2.0", "FACTOR = 3.0"),
}
SAME = {
    "nothing": HEAD,
    "a comment": HEAD.replace("# a comment", "# another one"),
    "lines before": "\n\n\n" + HEAD,
    "an unused global": HEAD.replace("UNUSED = 1", "UNUSED = 5"),
    "layout": HEAD.replace("helper(x[tile]) + y[tile]", "(helper(x[tile])\n            + y[tile])"),
}


@pytest.mark.parametrize("text", CHANGES.values(), ids=list(CHANGES))
def test_changes_of_the_source(key, text):
    assert key(text).digest != key().digest


@pytest.mark.parametrize("text", SAME.values(), ids=list(SAME))
def test_what_changes_nothing(key, text):
    assert key(text).differences(key()) == []


@pytest.mark.parametrize(
    "settings", ["index_dtype='int64'", "fast_math=True", "dot_precision='ieee'", "static_shapes=False"]
)
def test_settings_that_change_code(key, settings):
    assert "settings" in key(settings=settings).differences(key())


@pytest.mark.parametrize(
    "settings", ["autotune_random_seed=3", "print_output_code=False", "autotune_log_level='ERROR'"]
)
def test_settings_that_do_not(key, settings):
    assert key(settings=settings).digest == key().digest


def test_arguments(key):
    x = torch.randn(64)
    assert "arguments" in key(args=(torch.randn(128), torch.randn(128))).differences(key())
    assert "arguments" in key(args=(torch.randn(128)[::2], x)).differences(key())
    assert "arguments" in key(args=(x.half(), x.half())).differences(key())
    assert key(args=(torch.zeros(64), torch.ones(64))).digest == key().digest


def test_dynamic_shapes_count_by_bucket(key):
    def dynamic(n):
        return key(settings="static_shapes=False", args=(torch.randn(n), torch.randn(n)))

    assert dynamic(900).parts["arguments"] == dynamic(1000).parts["arguments"] != dynamic(5000).parts["arguments"]


def test_versions_target_and_search(key, monkeypatch, h100):
    import triton

    before = key()
    assert before.parts["target"] == "sm_90" and before.group == "scaled"
    assert key(search={"effort": "quick"}).differences(before) == ["search"]
    monkeypatch.setattr(triton, "__version__", "0.1")
    assert key().differences(before) == ["versions"]


def test_the_same_in_another_process(key, tmp_path):
    (tmp_path / "other.py").write_text(HEAD.replace("SETTINGS", ""))
    script = """
        import json, torch, other
        from helion.runtime.targets import parse_target
        from helion.tuning.key import cache_key
        args = (torch.randn(64), torch.randn(64))
        print(json.dumps(cache_key(other.scaled.bind(args), args, parse_target("sm_90"), {"effort": "full"}).parts))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)},
    )  # fmt: skip
    assert json.loads(done.stdout) == json.loads(json.dumps(dict(key().parts)))
