"""Every example against its reference in float64, in the interpreter and on a GPU; every example compiled for four
targets.
"""

import sys
from pathlib import Path

import pytest
import torch

from helion import exc
from helion.runtime.targets import COMMON, parse_target

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import _harness as harness

pytestmark = pytest.mark.filterwarnings("error::helion.exc.StoreRace")
NAMES = harness.names()
RUNS = [pytest.param(name, dtype, id=f"{name}-{str(dtype).removeprefix('torch.')}")
        for name in NAMES for dtype in harness.dtypes(harness.load(name))]  # fmt: skip


def run_cases(name: str, device: str, dtype: torch.dtype, what: str = "cases", static_shapes: bool = True) -> None:
    module = harness.load(name, static_shapes)
    wrong = []
    for case in harness.make(module, device, dtype, what):
        outcome = harness.check(module, case)
        if not outcome.ok:
            wrong.append(f"{case.name}: error {outcome.error:.1e}, allowed {outcome.tolerance:.0e}")
    assert not wrong, "\n".join(wrong)


def test_there_are_enough_examples():
    assert len(NAMES) >= 35


@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_interpreted(name, dtype):
    run_cases(name, "cpu", dtype)


DYNAMIC = ("bmm", "embedding", "geglu", "jagged_softmax", "layer_norm", "rope", "softmax", "split_k")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in DYNAMIC else pytest.mark.slow, id=n) for n in NAMES])
def test_interpreted_with_dynamic_shapes(name):
    """The cases of an example have several shapes, which the same kernels serve."""
    dtypes = harness.dtypes(harness.load(name, False))
    run_cases(name, "cpu", dtypes[0], static_shapes=False)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_dynamic_shapes_on_a_gpu(name):
    for dtype in harness.dtypes(harness.load(name, False)):
        run_cases(name, "cuda", dtype, static_shapes=False)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_on_a_gpu(name, dtype):
    run_cases(name, "cuda", dtype)


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_typical_sizes_on_a_gpu(name):
    run_cases(name, "cuda", harness.dtypes(harness.load(name))[-1], "typical")


def compile_typical(name: str, target: str, dtype: torch.dtype, factor: int = 1) -> None:
    module = harness.load(name)
    kernels = harness.typical_kernels(module, dtype, factor)
    assert {k.kernel.name for k in kernels} == {k.name for k in harness.kernels(module).values()}
    if target in getattr(module, "UNSUPPORTED", {}):
        with pytest.raises(exc.CompilationFailed):
            kernels[0].compile_for(parse_target(target))
        return
    limit = parse_target(target).shared_memory
    for kernel in kernels:
        facts = kernel.compile_for(parse_target(target))
        assert facts.code_size > 0 and facts.shared_memory <= limit


# A compilation takes up to seconds: without --slow each example is compiled for one of the targets.
COMPILED = [
    pytest.param(name, target, id=f"{name}-{target}", marks=[] if (k + t) % len(COMMON) == 0 else pytest.mark.slow)
    for k, name in enumerate(NAMES)
    for t, target in enumerate(COMMON)
]


@pytest.mark.parametrize(("name", "target"), COMPILED)
def test_default_config_compiles(name, target):
    compile_typical(name, target, harness.dtypes(harness.load(name))[-1])


@pytest.mark.slow
@pytest.mark.parametrize("target", COMMON)
@pytest.mark.parametrize("name", NAMES)
def test_default_config_compiles_for_float32(name, target):
    if torch.float32 not in harness.dtypes(harness.load(name)):
        pytest.skip("not written for float32")
    compile_typical(name, target, torch.float32)


HUGE = [
    pytest.param(
        name, target, id=f"{name}-{target}", marks=[] if (name, target) == ("softmax", "sm_90") else pytest.mark.slow
    )
    for name in NAMES
    for target in COMMON
]


@pytest.mark.parametrize(("name", "target"), HUGE)
def test_default_config_compiles_at_huge_sizes(name, target):
    """Sixteen times the typical sizes: rows that no register file holds, offsets past 32 bits."""
    compile_typical(name, target, harness.dtypes(harness.load(name))[-1], 16)


def test_enlarged_tensors_keep_their_layout():
    x = torch.empty(2048, 64, 4096, device="meta").transpose(0, 2)
    assert harness.enlarged(x, 16).size() == (65536, 64, 32768)
    assert harness.enlarged(x, 16).stride() == (1, 65536, 64 * 65536)
    assert harness.enlarged(torch.empty(2048, 1, device="meta").expand(2048, 4096), 2).stride() == (1, 0)


def test_a_wrong_result_is_seen():
    good = torch.tensor([1.0, 2.0, 1e-3])
    assert harness.difference(good, good.double()) == 0
    assert harness.difference(good * 1.01, good.double()) > 5e-3
    assert harness.difference(good.new_tensor([1.0, 2.0, float("nan")]), good.double()) == float("inf")
    with pytest.raises(AssertionError, match="shape"):
        harness.difference(good, good.double()[:2])
