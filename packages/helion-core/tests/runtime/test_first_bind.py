"""The first bind of a process imports what it needs and no more: torch.compile takes seconds to import."""

import subprocess
import sys
import textwrap
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def fresh_process(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=EXAMPLES)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ordinary_kernels_run_without_importing_torch_compile():
    found = fresh_process("""
        import sys
        import torch
        import _harness as harness

        for static_shapes in (True, False):
            for name in ("add", "matmul", "softmax", "layer_norm", "rms_norm", "cross_entropy", "geglu", "swiglu"):
                module = harness.load(name, static_shapes)
                for case in harness.make(module, "cpu", torch.float32, "cases"):
                    assert harness.check(module, case).ok
        module = harness.load("attention")
        for case in harness.make(module, "cpu", torch.bfloat16, "cases"):
            assert harness.check(module, case).ok
        heavy = ("torch._dynamo", "torch._inductor", "torch._functorch.aot_autograd", "networkx")
        print([name for name in heavy if name in sys.modules])
    """)
    assert found.strip() == "[]"


def test_torch_compile_is_there_for_those_who_use_it():
    fresh_process("""
    import sys
    import torch
    import _harness as harness

    x = torch.randn(8, 8)
    harness.load("softmax").softmax.bind((x,))
    assert "torch._dynamo" not in sys.modules and "torch.fx.experimental.validator" not in sys.modules
    settings = torch._dynamo.config
    assert settings.fake_tensor_cache_enabled and "torch._dynamo" not in sys.modules
    assert torch._dynamo.eval_frame  # asked for by attribute, as torch's own lazy import allows
    assert torch._dynamo is sys.modules["torch._dynamo"]
    assert torch._dynamo.config is sys.modules["torch._dynamo.config"] is settings
    with torch._dynamo.config.patch(cache_size_limit=7):
        assert settings.cache_size_limit == 7
    assert torch.equal(torch.compile(torch.exp, backend="eager")(x), torch.exp(x))
    from torch.fx.experimental.validator import ValidationException, translation_validation_enabled
    assert not translation_validation_enabled()
    harness.load("layer_norm").layer_norm.bind((x, x[0], x[1]))
    """)


def test_operators_beyond_the_ordinary_import_inductor():
    found = fresh_process("""
        import sys
        import torch
        from helion.lower.pointwise import is_elementwise

        assert is_elementwise(torch.ops.aten.exp.default) and "torch._inductor" not in sys.modules
        assert is_elementwise(torch.ops.aten.lgamma.default) and "torch._inductor" in sys.modules
    """)
    assert found == ""
