"""Makes the tables of configs that helion-kernels ships, on the GPU of this machine.

python tools/tune_kernels.py                                   # everything, into the package's own folder
python tools/tune_kernels.py --ops softmax,rms_norm --seconds 60 --out /tmp/configs

python tools/tune_kernels.py --total-seconds 480               # the most useful part of it in eight minutes

One search for each kernel, shape and dtype that an operation's module names (`SHAPES`, `calls`): the first shape of
every operation, then the second, and so on. Results are written as they come, and searches that are finished are kept
in helion's cache: a run that was stopped goes on where it stood when it is started again. The same seed proposes the
same configs; times, of course, are measured. Tables are named after the GPU's model (`softmax.h100.json`), which
serves all GPUs whose names begin so.

With `--total-seconds`, kernels whose default comes close to what the GPU's figures allow are not searched, and the
others get what time is left in proportion to what searches of their kind take: products more than what only moves
memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

import helion_kernels
from helion import BoundKernel, exc
from helion.explain.report import report
from helion.tuning.effort import budget
from helion.tuning.timing import Clock
from helion_kernels.frame import choice
from helion_kernels.frame.samples import Shape, module_of
from helion_kernels.frame.tables import gpu_name
from helion_kernels.testing import specialised
from helion_kernels.tuning import Found, Search, Tuned, by_measuring, tune_with

PACKAGE = Path(__file__).parent.parent / "packages" / "helion-kernels" / "src" / "helion_kernels" / "configs"
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
OPS = sorted(set(helion_kernels.OPS.values()))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=_names(OPS), default=OPS, help=f"comma-separated; default {','.join(OPS)}")
    parser.add_argument("--dtypes", type=_names(list(DTYPES)), default=["bf16"], help="of bf16, f16, f32")
    parser.add_argument("--seconds", type=float, default=45.0, help="per kernel and shape, at most")
    parser.add_argument("--total-seconds", type=float, default=None, help="for everything; --seconds is passed over")
    parser.add_argument("--shapes", type=int, default=None, help="only the first so many of each operation")
    parser.add_argument("--out", type=Path, default=PACKAGE, help="folder of the tables")
    parser.add_argument("--gpu", default=None, help="name in the file names; default: the GPU's model, such as h100")
    return parser.parse_args(arguments)


def _names(known: list[str]):  # noqa: ANN202
    def parse_names(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse_names


def model_of(name: str) -> str:
    """`h100` of `h100-80gb-hbm3`: the words up to the first one with a digit."""
    words = name.split("-")
    last = next((k for k, word in enumerate(words) if any(c.isdigit() for c in word)), len(words) - 1)
    return "-".join(words[: last + 1])


# --- what is tuned, in which order


@dataclass(frozen=True)
class Job:
    """One operation at one shape; `wanted`: seconds that the searches of its kernels would take, by kernel."""

    op: str
    shape: Shape
    wanted: tuple[float, ...]


def rounds(options: argparse.Namespace) -> Iterator[list[Job]]:
    """The jobs, round by round: the first shape of every operation, then the second of those that have one."""
    shapes = {op: module_of(op).SHAPES[: options.shapes] for op in options.ops}
    for k in range(max(map(len, shapes.values()))):
        yield [Job(op, listed[k], _wanted(op, listed[k], options)) for op, listed in shapes.items() if k < len(listed)]


def _wanted(op: str, shape: Shape, options: argparse.Namespace) -> tuple[float, ...]:
    if options.total_seconds is None:
        return ()
    kernels = (made.bound for name in options.dtypes for made in specialised(op, shape, DTYPES[name]))
    return tuple(wanted_by(bound) for bound in kernels)


def wanted_by(bound: BoundKernel) -> float:
    """Seconds of a quick search, with what comes before and after it."""
    quick = dataclasses.replace(bound.kernel.settings, autotune_effort="quick", autotune_budget_seconds=None)
    seconds = budget(quick, bound.program).seconds
    assert seconds is not None
    return seconds + AROUND_A_SEARCH


AROUND_A_SEARCH = 2.5  # seconds: arguments travel to the process that measures, finalists play
WORTH_A_SEARCH = 1.15  # times what the GPU's figures allow; memory itself gives 1.1
SHORTEST_SEARCH = 2.0  # seconds


# --- a share of the time for each search


@dataclass
class SharedTime:
    """Seconds for all searches together. `ahead`: what the searches that are still to come would like to take."""

    until: float
    ahead: float = 0.0

    @property
    def left(self) -> float:
        return self.until - time.perf_counter()

    def search(self, bound: BoundKernel, args: Sequence[Any]) -> Found | None:
        """A search as long as this kernel's share allows; none where the default is good, or no time is left."""
        wanted = wanted_by(bound)
        share = self.left * wanted / max(self.ahead, wanted)
        self.ahead -= wanted
        milliseconds, times = excess(bound, args)
        if times < WORTH_A_SEARCH or self.left <= 0:
            return Found(choice.default(bound, args), milliseconds, milliseconds)
        seconds = min(share, 2 * wanted) - AROUND_A_SEARCH
        return by_measuring(max(SHORTEST_SEARCH, seconds))(bound, args)


def excess(bound: BoundKernel, args: Sequence[Any]) -> tuple[float, float]:
    """Milliseconds of a call with the default config, and how many times what the GPU's figures allow that is."""
    config = choice.default(bound, args)
    run = bound.compile_config(config).run
    run(*args)
    footprint = sum(t.nbytes for t in tree_leaves(args) if isinstance(t, torch.Tensor))
    milliseconds, _ = Clock(bound.device, footprint).measure(lambda: run(*args), None)
    assert bound.target is not None
    least = report(bound, args, bound.target, config).roofline
    return milliseconds, milliseconds / (1e3 * least.seconds) if least is not None else float("inf")


def tune_job(job: Job, search: Search, options: argparse.Namespace, device: torch.device, gpu: str) -> list[Tuned]:
    dtypes = [DTYPES[name] for name in options.dtypes]
    return tune_with(search, job.op, [job.shape], dtypes, device=device, gpu=gpu, folder=options.out)


def tune_all(options: argparse.Namespace, device: torch.device, gpu: str) -> bool:
    """Whether all went well. One job's failure must not cost the others their run."""
    start, failed, results = time.perf_counter(), False, []
    shared = SharedTime(start + options.total_seconds) if options.total_seconds is not None else None
    search = by_measuring(options.seconds) if shared is None else shared.search
    for number, jobs in enumerate(rounds(options), 1):
        for k, job in enumerate(jobs):
            if shared is not None:
                shared.ahead = sum(sum(j.wanted) for j in jobs[k:])
                if shared.left <= 0:
                    print("the time is spent; start again to go on", flush=True)
                    print(summary(results), flush=True)
                    return not failed
            print(f"[{job.op}] round {number}: {job.shape}, {time.perf_counter() - start:.0f} s so far", flush=True)
            try:
                results += tune_job(job, search, options, device, gpu)
            except (exc.Base, RuntimeError) as error:
                failed = True
                print(f"[{job.op}] FAILED: {error}", file=sys.stderr, flush=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()  # the process that measures holds a copy of the arguments
    print(summary(results), flush=True)
    return not failed


def summary(results: list[Tuned]) -> str:
    found = [r.found for r in results if r.found is not None]
    ratios = [f.default_milliseconds / f.milliseconds for f in found if f.milliseconds > 0]
    best = f", up to {max(ratios):.2f} times as fast as the default" if ratios else ""
    return f"{len(results)} kernels tuned, {sum(r.entry is not None for r in results)} entries written{best}"


def main() -> None:
    options = parse()
    if not torch.cuda.is_available():
        sys.exit("tune_kernels.py measures on a GPU, and there is none here")
    device = torch.device("cuda", torch.cuda.current_device())
    sys.exit(not tune_all(options, device, options.gpu or model_of(gpu_name(device))))


if __name__ == "__main__":
    main()
