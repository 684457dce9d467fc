"""Kernels written by hand: right in the interpreter on sizes that do not divide, and they compile for GPUs."""

import importlib

import pytest
import torch
import triton
from triton.compiler import ASTSource

from helion.runtime.targets import parse_target
from helion_bench.backends.handwritten import Handwritten
from helion_bench.cases import catalogue
from helion_bench.run.calls import Problem, bind

SHAPES = {
    "softmax": ["rows=3,cols=1", "rows=2,cols=1000"],
    "layer_norm": ["rows=3,cols=1", "rows=2,cols=1000"],
    "rms_norm": ["rows=3,cols=1", "rows=2,cols=1000"],
    "matmul": ["m=1,k=1,n=1", "m=70,k=130,n=300", "m=65,k=64,n=256"],
    "attention": [
        "batch=1,heads=1,kv_heads=1,seq=1,keys=1,dim=16,causal=1",
        "batch=2,heads=2,kv_heads=1,seq=200,keys=200,dim=32,causal=1",
        "batch=1,heads=2,kv_heads=2,seq=130,keys=77,dim=16,causal=0",
    ],
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("op", "shape"), [(op, s) for op, shapes in SHAPES.items() for s in shapes])
def test_right_in_the_interpreter(op, shape, dtype):
    (case,) = catalogue.cases([op], shapes=[shape], dtypes=[dtype], passes=["fwd"])
    backend, problem = Handwritten(), Problem.make(case, catalogue.operation(op), "cpu")
    assert backend.declines(case) is None
    bound = bind(problem, backend.implement(case, problem.operation))
    verdict = problem.operation.verify(problem.inputs, None, bound.results(bound.call()), problem.expected())
    assert verdict.ok, verdict.problem


POINTERS = {"softmax": 2, "layer_norm": 4, "rms_norm": 3, "matmul": 3, "attention": 4}
CONSTANTS = {
    "softmax": {"BLOCK": 8192},
    "layer_norm": {"BLOCK": 8192},
    "rms_norm": {"BLOCK": 8192},
    "matmul": {"BM": 128, "BN": 256, "BK": 64, "GROUP": 8},
    "attention": {"BM": 128, "BN": 64, "D": 128, "CAUSAL": True},
}


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("op", sorted(POINTERS))
def test_compiles_for_gpus(op, target):
    kernel = getattr(importlib.import_module(f"helion_bench.backends.handwritten.{op}"), f"_{op}")
    constants = CONSTANTS[op]
    names = [n for n in kernel.arg_names if n not in constants]
    numbers = {n: "fp32" if n in ("eps", "scale") else "i32" for n in names}
    signature = {**numbers, **dict.fromkeys(names[: POINTERS[op]], "*bf16"), **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(k),): v for k, v in constants.items()})
    found = parse_target(target)
    compiled = triton.compile(source, target=found.triton(), options={"num_warps": 8})
    assert compiled.metadata.shared <= found.shared_memory
    if op in ("matmul", "attention"):
        assert ("wgmma" if target == "sm_90" else "mma.sync") in compiled.asm["ptx"]


@pytest.mark.parametrize(
    ("op", "shape", "pass_", "reason"),
    [
        ("rope", "1x*", "fwd", "nobody wrote rope by hand"),
        ("softmax", "7x100", "bwd", "forward passes only"),
        ("softmax", "rows=2,cols=200000", "fwd", "up to 131072 elements"),
        ("attention", "batch=1,heads=1,kv_heads=1,seq=8,keys=8,dim=24,causal=0", "fwd", "powers of two from 16"),
    ],
)
def test_says_what_it_does_not_compute(op, shape, pass_, reason):
    case = catalogue.cases([op], shapes=[shape], passes=[pass_])[0]
    assert reason in Handwritten().declines(case)


def test_results_are_new_tensors():
    x = torch.randn(4, 16)
    (case,) = catalogue.cases(["softmax"], shapes=["rows=4,cols=16"], passes=["fwd"])
    out = Handwritten().implement(case, catalogue.operation("softmax"))(x=x)
    assert out.data_ptr() != x.data_ptr() and out.dtype == x.dtype
