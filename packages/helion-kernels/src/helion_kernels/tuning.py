"""`tune`: configs for your own shapes and GPU, kept in your own table.

    helion_kernels.tune("softmax", shapes=[(4096, 50257)])

runs the operation's sample calls for each shape, forward and backward, and searches a config for every kernel that they
launch. A config that beats the default is written to the user's own table, which every later process reads first.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from helion import exc

from .frame import choice
from .frame.kernel import KERNELS
from .frame.samples import Shape, module_of
from .frame.tables import Entry, Signature, gpu_name, user_folder, write

if TYPE_CHECKING:
    from helion import BoundKernel, Config

WORTH = 1.01  # how much faster than the default a config must be to become an entry, which other sizes use as well


@dataclass(frozen=True)
class Found:
    """Milliseconds of a config that a search found, and of the default config."""

    config: Config
    milliseconds: float
    default_milliseconds: float


Search = Callable[["BoundKernel", Sequence[Any]], "Found | None"]


@dataclass(frozen=True)
class Tuned:
    """One kernel tuned for one signature. `entry` is None where nothing beats the default."""

    op: str
    signature: Signature
    found: Found | None
    entry: Entry | None

    def __str__(self) -> str:
        shown = f"{self.op}: {self.signature.kernel}({', '.join(self.signature.arguments)})"
        if self.found is None:
            return f"{shown}: not measured; the default stays"
        times = f"{self.found.milliseconds:.4f} ms, default {self.found.default_milliseconds:.4f} ms"
        return f"{shown}: {times}{'' if self.entry else '; the default stays'}"


def tune(
    op: str | Callable[..., Any], shapes: Sequence[Shape] | None = None,
    dtypes: Sequence[torch.dtype] = (torch.bfloat16,), *, seconds: float | None = None,
    device: torch.device | str = "cuda", folder: Path | str | None = None, report: Callable[[str], None] = print,
) -> list[Tuned]:  # fmt: skip
    """Searches configs for the kernels of `op` at `shapes`, and writes those that beat the default to a table.

    op: a function of this package or its name. shapes: as in the operation's `SHAPES`, which are the default.
    seconds: per kernel and shape, at most. folder: of the table (default: the user's own). report: gets a line for
    every kernel. A run that was killed goes on where it stood: helion keeps finished searches. Raises
    `InvalidArgument` where `op` is none, or `device` no GPU that is here.
    """
    module_of(op if isinstance(op, str) else op.__name__)
    device = torch.device(device)
    if device.type != "cuda" or not torch.cuda.is_available():
        raise exc.InvalidArgument(
            what=f"tuning for `{device}`", instead="tune on a machine with a GPU, which candidates are measured on"
        )
    if device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return tune_with(
        by_measuring(seconds), op, shapes, dtypes, device=device, gpu=gpu_name(device), folder=folder, report=report
    )


def tune_with(
    search: Search, op: str | Callable[..., Any], shapes: Sequence[Shape] | None, dtypes: Sequence[torch.dtype], *,
    device: torch.device, gpu: str, folder: Path | str | None = None, report: Callable[[str], None] = print,
) -> list[Tuned]:  # fmt: skip
    """As `tune`, with configs from `search`, for the table of the GPU that is called `gpu`."""
    name = op if isinstance(op, str) else op.__name__
    module = module_of(name)
    place = Path(folder) if folder is not None else user_folder()
    results: list[Tuned] = []

    def chooser(owner: str, bound: BoundKernel, args: Sequence[Any]) -> Config | None:
        tuned = _tuned(search, owner, bound, args, device)
        results.append(tuned)
        report(str(tuned))
        if tuned.entry is not None:
            write(place, owner, gpu, [tuned.entry])
        return tuned.entry.config if tuned.entry is not None else None

    for made in KERNELS:
        made.reset()  # so that each chooses anew
    with choice.chosen_by(chooser):
        for shape in shapes if shapes is not None else module.SHAPES:
            for dtype in dtypes:
                for call in module.calls(tuple(shape), dtype, device):
                    call.run()
    return results


def _tuned(search: Search, op: str, bound: BoundKernel, args: Sequence[Any], device: torch.device) -> Tuned:
    signature = Signature.of(bound.kernel.name, args)
    found = search(bound, args)
    if found is None or found.milliseconds * WORTH >= found.default_milliseconds:
        return Tuned(op, signature, found, None)
    measured = {
        "milliseconds": found.milliseconds, "default_milliseconds": found.default_milliseconds,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "versions": {name: version(name) for name in ("torch", "triton", "helion-core")},
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": _command(),
    }  # fmt: skip
    return Tuned(op, signature, found, Entry(signature, found.config, measured))


def _command() -> str:
    """How this process was started, less where it writes to."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return " ".join(word for word in words if not word.startswith("--out="))


def by_measuring(
    seconds: float | None, beginning: Callable[[BoundKernel, Sequence[Any]], Config] = choice.default
) -> Search:
    """Searches on the GPU of the arguments for at most `seconds`, then times the result and the config that it began
    with, by default the kernel's default, in turns.
    """

    def search(bound: BoundKernel, args: Sequence[Any]) -> Found | None:
        from helion.tuning.tuner import Tuner

        target = bound.target
        assert target is not None, "tune() refuses devices without a target"
        before, default = bound.kernel.settings, beginning(bound, args)
        bound.kernel.settings = dataclasses.replace(
            before, autotune_effort="full", autotune_budget_seconds=seconds, autotune_seed_configs=(default,)
        )
        try:
            return found_by(Tuner(bound, args, target), default)
        finally:
            bound.kernel.settings = before

    return search


def found_by(tuner: Any, default: Config) -> Found | None:
    """What a `helion.tuning.tuner.Tuner` finds; None where neither it nor the default could be measured."""
    config = tuner.best()
    milliseconds, default_milliseconds = tuner.times_of([config, default])
    if milliseconds is None:
        return None
    return Found(config, milliseconds, default_milliseconds if default_milliseconds is not None else float("inf"))
