"""How good is what a call gets at shapes that nobody tuned for? A search at each of them tells.

Usage: `python tools/unseen_shapes.py [--seconds 8] [--only softmax,matmul] [--limit 0.7]`

For every kernel that a sample call launches at one of the shapes below, which no table holds: the time of the config
that a call gets (from the nearest entry of a table, by the kernel's own preference, or from the planner), and of the
best that a search of some seconds finds, which starts from it. Their quotient is how much of the speed is there without
tuning. Exits with 1 where it is below the limit. Needs a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from helion import BoundKernel, Config
from helion_kernels.frame import choice
from helion_kernels.frame.kernel import KERNELS
from helion_kernels.frame.samples import Shape, module_of
from helion_kernels.tuning import Found, by_measuring

SHAPES: tuple[tuple[str, Shape], ...] = (
    ("softmax", (6000, 3000)),
    ("layer_norm", (5000, 3072)),
    ("rms_norm", (3333, 6144)),
    ("cross_entropy", (3000, 40000)),
    ("swiglu", (3000, 9728)),
    ("matmul", (3000, 5000, 2000)),
    ("linear", (96, 7168, 2048)),
    ("scaled_mm", (1500, 3072, 6144)),
    ("attention", (2, 24, 24, 3000, 128)),
    ("attention", (8, 16, 4, 2500, 96)),
)
Search = Callable[[BoundKernel, Sequence[Any], Config], "Found | None"]


@dataclasses.dataclass(frozen=True)
class Share:
    """What part of the best speed found a kernel has at a shape without tuning; None where it could not be measured."""

    op: str
    shape: Shape
    kernel: str
    found: Found | None

    @property
    def value(self) -> float | None:
        if self.found is None or not self.found.default_milliseconds > 0:
            return None
        return self.found.milliseconds / self.found.default_milliseconds

    def __str__(self) -> str:
        name = f"{self.op:14} {'x'.join(map(str, self.shape)):22} {self.kernel:28}"
        if self.found is None or self.value is None:
            return f"{name} not measured"
        ours, best = self.found.default_milliseconds, self.found.milliseconds
        return f"{name} {ours:9.4f} ms, best {best:9.4f} ms: {self.value:.2f}"


def shares(
    cases: Sequence[tuple[str, Shape]], search: Search, device: torch.device, report: Callable[[str], None] = print
) -> list[Share]:
    """Of every kernel that the sample calls launch, told of one by one."""
    results: list[Share] = []
    for op, shape in cases:

        def chooser(owner: str, bound: BoundKernel, args: Sequence[Any], op: str = op, shape: Shape = shape) -> Config:
            chosen = choice.from_tables(owner, bound, args) or choice.default(bound, args)
            results.append(Share(op, shape, bound.kernel.name, search(bound, args, chosen)))
            report(str(results[-1]))
            return chosen

        for made in KERNELS:
            made.reset()  # so that each chooses anew
        with choice.chosen_by(chooser):
            for call in module_of(op).calls(shape, torch.bfloat16, device):
                call.run()
    return results


def searching(seconds: float) -> Search:
    return lambda bound, args, chosen: by_measuring(seconds, lambda *_: chosen)(bound, args)


def judged(results: Sequence[Share], limit: float) -> int:
    """The exit status."""
    known = [share.value for share in results if share.value is not None]
    poor = [share for share in results if share.value is None or share.value < limit]
    if known:
        print(f"{len(results)} kernels, the least {min(known):.2f}, {len(poor)} below {limit} or not measured")
    return int(bool(poor) or not known)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each search")
    parser.add_argument("--only", default=None, help="comma-separated operations")
    parser.add_argument("--limit", type=float, default=0.7)
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("unseen_shapes.py measures on a GPU, and there is none here")
    wanted = options.only.split(",") if options.only else None
    cases = [case for case in SHAPES if wanted is None or case[0] in wanted]
    device = torch.device("cuda", torch.cuda.current_device())
    return judged(shares(cases, searching(options.seconds), device), options.limit)


if __name__ == "__main__":
    sys.exit(main())
