"""What tensor descriptors add to what a call costs on the host, on a GPU with a TMA unit (compute capability 9).

Usage: `python tools/descriptor_cost.py [--rounds N] [--calls N] [--check]`

Microseconds of host time per call of one product of bfloat16 matrices, its kernel once with tensor descriptors for its
three tensors and once with pointers; measured as by `tools/call_cost.py`. Rows: the same tensors at every call; a few
tensors in turn, whose descriptors are kept; more tensors in turn than are kept, so that every call makes two
descriptors. With `--check` the exit status says whether descriptors add at most 5 µs to a call, and 5 µs for each that
is made.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

import torch
from call_cost import WARM_UP_S, Call, measure, quiet_core, table, warm_up  # type: ignore[import-not-found]

import helion
import helion.language as hl
from helion.runtime.launching.descriptors import KEPT

LIMIT_US = 5.0  # of a call, and of each descriptor that is made
MADE = 2  # descriptors, of tensors that were not seen lately
CONFIG = {"block_sizes": [64, 64, 64], "num_warps": 4}
SAME, FEW, MANY = "the same tensors", "a few in turn", "many in turn"
Pair = tuple[torch.Tensor, torch.Tensor]


def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([x.size(0), y.size(1)]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc.to(x.dtype)
    return out


def in_turn(function: Callable[..., object], pairs: Sequence[Pair]) -> Call:
    turns = itertools.cycle(pairs)
    return lambda: function(*next(turns))


def rows(device: str, size: int, many: int) -> dict[str, Call]:
    def matrix() -> torch.Tensor:
        return torch.randn(size, size, device=device).bfloat16()

    pool = [(matrix(), matrix()) for _ in range(many)]
    kernels = {
        name: helion.kernel(product, config={**CONFIG, "indexing": indexing})
        for name, indexing in (("descriptors", "tensor_descriptor"), ("pointers", "pointer"))
    }
    found: dict[str, Call] = {}
    for name, function in {**kernels, "torch.matmul": torch.matmul}.items():
        for x, y in pool[:4]:
            torch.testing.assert_close(function(x, y), x @ y, rtol=2e-2, atol=0.5)
        found |= {
            f"{name}, {SAME}": in_turn(function, pool[:1]),
            f"{name}, {FEW}": in_turn(function, pool[:8]),
            f"{name}, {MANY}": in_turn(function, pool),
        }
    return found


def within_limits(found: Mapping[str, Sequence[float]]) -> bool:
    """Compares within rounds, so that a clock that drifts does not count."""

    def added(row: str) -> float:
        pairs = zip(found[f"descriptors, {row}"], found[f"pointers, {row}"], strict=True)
        return statistics.median(a - b for a, b in pairs)

    print(f"descriptors add {added(SAME):.2f} µs; {added(FEW):.2f} in turn; {added(MANY):.2f} with {MADE} made anew")
    return max(added(SAME), added(FEW)) <= LIMIT_US and added(MANY) <= LIMIT_US * (1 + MADE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Host time that tensor descriptors add to a call, in microseconds.")
    parser.add_argument("--rounds", type=int, default=40, help="rounds over all rows")
    parser.add_argument("--calls", type=int, default=100, help="calls per row and round")
    parser.add_argument("--check", action="store_true", help="fail where descriptors add more than their limits")
    options = parser.parse_args()
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (9, 0):
        sys.exit("this needs a GPU with a TMA unit")
    timed = rows("cuda", 256, 2 * KEPT)
    with quiet_core():
        warm_up(timed, WARM_UP_S, torch.cuda.synchronize)
        found = measure(timed, options.rounds, options.calls, torch.cuda.synchronize)
    print(table(torch.cuda.get_device_name(), found))
    sys.exit(1 if not within_limits(found) and options.check else 0)


if __name__ == "__main__":
    main()
