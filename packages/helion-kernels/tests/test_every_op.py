"""What holds for every operation: opcheck, torch.compile, compilation for GPUs that are not there, calls on a GPU."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

import helion_kernels
from helion.runtime.targets import COMMON, parse_target
from helion_kernels.frame.kernel import KERNELS
from helion_kernels.frame.samples import module_of
from helion_kernels.testing import TOLERANCES, assert_close, check, interpreted, specialised

pytestmark = pytest.mark.filterwarnings("error::helion.exc.StoreRace")
MODULES = sorted(set(helion_kernels.OPS.values()))
CPU = torch.device("cpu")
PRODUCTS = {"attention", "attention_varlen", "grouped_mm", "linear", "linear_cross_entropy", "matmul", "scaled_mm"}
EXACT, ROUNDED = 1e-4, 2e-2  # errors of products of float32 and of narrower dtypes: they add up
EACH = pytest.mark.parametrize("op", MODULES)


def small_calls(op, dtype=torch.float32):
    module = module_of(op)
    return list(module.calls(module.SMALL, dtype, CPU))


class Recorder(TorchDispatchMode):
    """The calls of our operators, one of each."""

    def __init__(self):
        super().__init__()
        self.calls = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "helion_kernels":
            self.calls.setdefault(func, args)
        return func(*args, **(kwargs or {}))


def recorded(op):
    """The calls of operators that the sample calls make: (operator, arguments that require gradients)."""
    recorder = Recorder()
    with interpreted(), recorder:
        for call in small_calls(op):
            call.run()
    assert recorder.calls
    for func, args in recorder.calls.items():
        leaf = _constant if func._opname.endswith("_backward") else _leaf
        yield func, tree_map_only(torch.Tensor, leaf, args)


def _constant(t):
    return t.detach().clone()


def _leaf(t):
    return _constant(t).requires_grad_(t.is_floating_point())


@EACH
def test_opcheck(op):
    checks = ["test_autograd_registration", "test_faketensor"]
    if op != "scaled_mm":  # torch's own check cannot multiply float8
        checks.append("test_schema")
    for func, args in recorded(op):
        with interpreted():
            torch.library.opcheck(func, args, test_utils=checks)


@pytest.mark.parametrize("op", [op for op in MODULES if op != "scaled_mm"])  # which has none, as in torch
@pytest.mark.slow
def test_opcheck_of_compiled_gradients(op):
    for func, args in recorded(op):
        if not func._opname.endswith("_backward"):
            with interpreted():
                torch.library.opcheck(func, args, test_utils="test_aot_dispatch_dynamic")


@EACH
def test_compiled_whole(op):
    """One graph, forward and backward, and the same numbers."""
    with interpreted():
        for call in small_calls(op):
            torch.manual_seed(1)
            expected = call.run()
            torch._dynamo.reset()
            compiled = torch.compile(call.function, fullgraph=True, backend="aot_eager")
            torch.manual_seed(1)
            found = call._replace(function=compiled).run()
            if op != "dropout":  # whose seed a compiled program draws in its own way
                assert_close(found, expected, TOLERANCES[torch.float32])


@EACH
def test_torch_func(op):
    """Its gradients are those of autograd; of a batch, too."""
    with interpreted():
        for call in small_calls(op):
            places = [k for k, a in enumerate(call.args) if isinstance(a, torch.Tensor) and a.requires_grad]
            leaves = [call.args[k] for k in places]
            if not leaves or op == "dropout":  # whose seed is another one at each call
                continue

            def loss(*tensors, call=call, places=places):
                given = dict(enumerate(call.args)) | dict(zip(places, tensors, strict=True))
                result = call.function(*given.values(), **call.kwargs)
                return sum(t.square().sum() for t in (result if isinstance(result, tuple) else (result,)))

            expected = torch.autograd.grad(loss(*leaves), leaves)
            gradient = torch.func.grad(loss, tuple(range(len(leaves))))
            plain = [t.detach() for t in leaves]
            assert_close(gradient(*plain), expected, 1e-6)
            batched = torch.vmap(gradient)(*(torch.stack([t, t]) for t in plain))
            assert_close([t[1] for t in batched], expected, 1e-6)


@EACH
def test_compiles_for_an_h100(op):
    """At a typical shape, with default configs; tools/kernel_facts.py shows what becomes of the others."""
    compile_all(op, "sm_90", module_of(op).SHAPES[:1])


@EACH
@pytest.mark.parametrize("target", COMMON)
@pytest.mark.slow
def test_compiles_for_every_target(op, target):
    if target in getattr(module_of(op), "UNSUPPORTED", {}):
        pytest.skip(f"{target} {module_of(op).UNSUPPORTED[target]}: such calls go to torch")
    compile_all(op, target, module_of(op).SHAPES[1::2])


def compile_all(op, name, shapes):
    target = parse_target(name)
    for shape in shapes:
        for made in specialised(op, shape, torch.bfloat16):
            facts = made.bound.compile_for(target, made.config(target))
            assert facts.shared_memory <= target.shared_memory, f"{made.bound.kernel.name} {shape}"


# Sizes of several tiles, odd ones among them; small, since float64 results of four tests at once share a GPU.
ROWS_CHECKED = ((1031, 1024), (515, 8192), (130, 5000), (33, 16384), (7, 20000))
CHECKED = {
    "attention": ((2, 8, 2, 1024, 128), (1, 2, 2, 2048, 64), (2, 4, 2, 777, 80)),
    "attention_varlen": ((3, 8, 2, 1500, 128), (4, 4, 4, 2048, 64)),
    "cross_entropy": ((301, 32000), (131, 50257), (67, 128256), (16, 256000)),
    "dropout": ((1031, 1024), (515, 5001)),
    "grouped_mm": ((8, 2000, 1024, 512), (5, 777, 520, 264), (8, 64, 2048, 1024)),
    "layer_norm": ROWS_CHECKED,
    "linear": ((1024, 1024, 1024), (777, 520, 1000), (16, 2048, 1024)),
    "linear_cross_entropy": ((301, 512, 32000), (131, 128, 50257), (67, 256, 128256)),
    "matmul": ((1024, 1024, 1024), (777, 520, 1000), (16, 4096, 1024), (1, 1024, 4096)),
    "rms_norm": ROWS_CHECKED,
    "rope": ((2, 8, 513, 128), (1, 3, 1000, 64), (64, 32, 1, 128)),
    "scaled_mm": ((512, 1024, 1024), (200, 528, 1040), (16, 4096, 2048)),
    "softmax": ((1031, 1024), (130, 5000), (33, 32768), (17, 65536)),
    "swiglu": ((517, 4096), (300, 11008), (129, 1000), (64, 14336)),
}


def exact_scaled_mm(a, b, scale_a, scale_b, **_):
    """torch's own takes nothing but float8."""
    return a @ b * scale_a * scale_b


@pytest.fixture
def freed():
    """Tests of other processes share the GPU."""
    yield
    torch.cuda.empty_cache()


@pytest.mark.gpu
@EACH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
def test_on_a_gpu(op, dtype, freed):
    """Values and gradients against float64; helion-bench does the same at typical sizes."""
    reference = exact_scaled_mm if op == "scaled_mm" else None
    exact = dtype is torch.float32 and op != "scaled_mm"  # products too: torch's default is not TF32
    tolerance = (EXACT if exact else ROUNDED) if op in PRODUCTS else None
    for shape in CHECKED[op]:
        for call in module_of(op).calls(shape, dtype, torch.device("cuda")):
            if op == "dropout":  # torch draws other masks
                y, _ = call.run()
                assert abs((y != 0).float().mean().item() - 0.9) < 0.01
            else:
                check(call.function, *call.args, reference=reference, tolerance=tolerance, **call.kwargs)


FIRST_CALL_SECONDS = 3.0


@pytest.fixture
def nothing_compiled(tmp_path, monkeypatch):
    """Triton's directory is empty, kernels forget what they know; what all operations import is there."""
    helion_kernels.softmax(torch.ones(2, 16, device="cuda"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    for made in KERNELS:
        made.reset()


@pytest.mark.gpu
@EACH
def test_first_call_on_a_gpu(op, nothing_compiled, freed):
    """Compilation, never a tuning run: within three seconds, and the first gradients within as many again."""
    module = module_of(op)
    for call in module.calls(module.SHAPES[0], torch.bfloat16, torch.device("cuda")):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call.function(*call.args, **call.kwargs)
        torch.cuda.synchronize()
        first = time.perf_counter() - start
        call.run()
        torch.cuda.synchronize()
        both = time.perf_counter() - start
        assert first < FIRST_CALL_SECONDS and both < 2 * FIRST_CALL_SECONDS, (
            f"{first:.1f} s, with gradients {both:.1f} s"
        )


def test_import_is_cheap():
    """Neither triton nor sympy nor the modules of operations are imported before they are needed."""
    code = """
import sys, torch
before = set(sys.modules)
import helion_kernels
print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "['helion_kernels']\n"


def test_kernels_are_bound_without_torch_compile():
    """Inductor is what helion asks about operators that it does not spell itself: seconds of a first call to import."""
    code = """
import sys, torch, helion_kernels
from helion_kernels.frame.samples import module_of
from helion_kernels.testing import specialised
for op in dict.fromkeys(helion_kernels.OPS.values()):
    specialised(op, module_of(op).SHAPES[0], torch.bfloat16)
    assert not {"torch._dynamo", "torch._inductor"} & set(sys.modules), op
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_one_graph_serves_many_sizes(interpret):
    """Under torch.compile with dynamic sizes."""
    weight = torch.randn(24)

    def block(x):
        y, total = helion_kernels.rms_norm(x, [24], weight, residual=x)
        return helion_kernels.softmax(helion_kernels.swiglu(y, total), -1)

    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    for rows in (3, 5, 8):
        x = torch.randn(rows, 24)
        with torch._dynamo.config.patch(error_on_recompile=rows > 3):
            assert_close(compiled(x), block(x), 1e-6)


ROWS = [
    helion_kernels.softmax, helion_kernels.swiglu, lambda x: helion_kernels.rms_norm(x, [48]),
    lambda x: helion_kernels.layer_norm(x, [48]),
    lambda x: helion_kernels.cross_entropy(x, torch.zeros(x.size(0), dtype=torch.int64)),
]  # fmt: skip


@pytest.mark.parametrize("function", ROWS, ids=["softmax", "swiglu", "rms_norm", "layer_norm", "cross_entropy"])
def test_any_number_of_rows_is_one_compilation(function, interpret):
    for made in KERNELS:
        made.reset()
    for rows in (5, 8, 17):
        x = torch.randn(rows, 48, requires_grad=True)
        function(x).sum().backward()
    used = [made for made in KERNELS if made._bound]
    assert len(used) == 2, "one kernel forward, one backward"
    for made in used:
        assert len({id(bound) for found in made._bound.values() for bound in found}) == 1, made.name
