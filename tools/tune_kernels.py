"""Makes the tables of configs that helion-kernels ships, on the GPU of this machine.

python tools/tune_kernels.py                                   # everything, into the package's own folder
python tools/tune_kernels.py --ops softmax,rms_norm --seconds 60 --out /tmp/configs

One search for each kernel, shape and dtype that an operation's module names (`SHAPES`, `calls`). Results are written as
they come, and searches that are finished are kept in helion's cache: a run that was stopped goes on where it stood
when it is started again. The same seed proposes the same configs; times, of course, are measured. Tables are named
after the GPU's model (`softmax.h100.json`), which serves all GPUs whose names begin so.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

import helion_kernels
from helion import exc
from helion_kernels.frame.samples import module_of
from helion_kernels.frame.tables import gpu_name
from helion_kernels.tuning import Tuned, by_measuring, tune_with

PACKAGE = Path(__file__).parent.parent / "packages" / "helion-kernels" / "src" / "helion_kernels" / "configs"
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
OPS = sorted(set(helion_kernels.OPS.values()))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=_names(OPS), default=OPS, help=f"comma-separated; default {','.join(OPS)}")
    parser.add_argument("--dtypes", type=_names(list(DTYPES)), default=["bf16"], help="of bf16, f16, f32")
    parser.add_argument("--seconds", type=float, default=45.0, help="per kernel and shape, at most")
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


def tune_op(op: str, options: argparse.Namespace, device: torch.device, gpu: str) -> list[Tuned]:
    shapes = module_of(op).SHAPES[: options.shapes]
    start = time.perf_counter()
    results = []
    for number, shape in enumerate(shapes, 1):
        elapsed = time.perf_counter() - start
        print(f"[{op}] shape {number} of {len(shapes)}: {shape}, {elapsed:.0f} s so far", flush=True)
        dtypes = [DTYPES[name] for name in options.dtypes]
        results += tune_with(
            by_measuring(options.seconds), op, [shape], dtypes, device=device, gpu=gpu, folder=options.out
        )
    return results


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
    gpu = options.gpu or model_of(gpu_name(device))
    failed = False
    for op in options.ops:
        try:
            print(f"[{op}] {summary(tune_op(op, options, device, gpu))}", flush=True)
        except (exc.Base, RuntimeError) as error:  # one operation's failure must not cost the others their run
            failed = True
            print(f"[{op}] FAILED: {error}", file=sys.stderr, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
