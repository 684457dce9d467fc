"""Times and occupancy from the table of GPUs."""

import pytest

from helion.explain.gpus import gpu_for
from helion.explain.occupancy import occupancy
from helion.explain.roofline import roofline
from helion.explain.show import duration, quantity
from helion.explain.work import Work
from helion.runtime.binaries.compile import CompileFacts
from helion.runtime.targets import COMMON, parse_target


@pytest.mark.parametrize("name", COMMON)
def test_the_table_agrees_with_the_targets(name):
    gpu, target = gpu_for(name), parse_target(name)
    assert gpu.shared_memory - gpu.reserved_shared_memory == target.shared_memory
    assert gpu.source and set(gpu.peak) == {"half", "float8", "int8", "tf32", "float32", "float64"}


def test_a_gpu_that_is_not_in_the_table():
    assert gpu_for("sm_86") is None


def test_the_longest_part_bounds():
    gpu = gpu_for("sm_90")
    copy = roofline(Work(read=2**30, written=2**30, vector=2**20), gpu)
    assert copy.bound == "memory" and copy.seconds == 2**31 / 3.35e12
    product = roofline(Work(read=10, matrix={"half": 989_400_000}), gpu)
    assert product.bound == "matrix units" and product.seconds == pytest.approx(1e-6)
    exact = roofline(Work(matrix={"float32": 66_900_000}), gpu)
    assert exact.bound == "vector units" and exact.seconds == pytest.approx(1e-6)


def facts(registers, shared):
    return CompileFacts("sm_90", registers, 0, shared, {}, 0)


@pytest.mark.parametrize(
    ("target", "registers", "shared", "warps", "programs", "limit"),
    [
        ("sm_90", 32, 0, 4, 16, "warps"),
        ("sm_90", 32, 0, 1, 32, "blocks"),
        ("sm_90", 128, 0, 4, 4, "registers"),
        ("sm_90", 255, 0, 8, 1, "registers"),
        ("sm_90", 168, 0, 4, 3, "registers"),
        ("sm_90", 64, 100 * 1024, 4, 2, "shared memory"),
        ("sm_90", 64, 232448, 4, 1, "shared memory"),
        ("sm_80", 64, 64 * 1024, 4, 2, "shared memory"),
        ("gfx942", 128, 0, 4, 4, "registers"),
        ("gfx942", 64, 0, 4, 8, "warps"),
        ("gfx942", 64, 32768, 8, 2, "shared memory"),
    ],
)
def test_occupancy(target, registers, shared, warps, programs, limit):
    gpu = gpu_for(target)
    found = occupancy(facts(registers, shared), warps, gpu.multiprocessors * programs, parse_target(target), gpu)
    assert (found.programs, found.limit) == (programs, limit)
    assert found.warps == programs * warps / gpu.warps and found.waves == 1.0


def test_units():
    assert [quantity(v, "B") for v in (0, 999, 1000, 1.5e6, 137.4e9)] == ["0 B", "999 B", "1 kB", "1.5 MB", "137.4 GB"]
    assert [duration(s) for s in (1.5e-6, 2e-3)] == ["1.5 µs", "2 ms"]
