"""Differential fuzzing: kernels under sampled configs, run in the interpreter, against float64 references.

`python packages/helion-core/tests/configs/fuzz.py --seconds 60 --seed 0` (or `hatch run fuzz -- --seconds 60 --seed
0`). A failing config is shrunk: keys go back to their defaults as long as the failure stays, and what remains is
reported. With `--dynamic` the kernels are those for all sizes, and each config runs arguments of several.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import helion
from helion.lower.access import BLOCK_PTR
from helion.lower.grid import axes
from helion.lower.layout import Layout, tiles_of
from helion.lower.limits import largest_value
from helion.lower.rolling import roll_all, rollable
from helion.lower.spec import ConfigSpec

sys.path.insert(0, str(Path(__file__).parent))
from kernels import CASES, HALF_TOLERANCE, Case, as_tuple

MOST_PROGRAMS = 48  # a program of the interpreter takes milliseconds
MOST_LANES = 1 << 15
RESIZED: tuple[Callable[[int], int], ...] = (lambda n: n // 2 + 1, lambda n: n + n // 4, lambda n: 1, lambda n: 0)


@dataclass(frozen=True)
class Trial:
    """One (kernel, arguments, config)."""

    case: Case
    dtype: torch.dtype
    seed: int
    config: helion.Config
    dynamic: bool = False

    @property
    def kernel(self) -> helion.Kernel:
        return for_all_sizes(self.case.kernel) if self.dynamic else self.case.kernel

    @property
    def spec(self) -> ConfigSpec:
        return self.kernel.bind(self.case.make(self.seed, self.dtype)).config_spec

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.case.name} {dtype} seed {self.seed}{' dynamic' if self.dynamic else ''} {self.config}"


@functools.cache
def for_all_sizes(kernel: helion.Kernel) -> helion.Kernel:
    return helion.kernel(kernel.fn, static_shapes=False)


def sample(spec: ConfigSpec, rng: random.Random) -> helion.Config:
    """A random legal config; every other key keeps its default, so that combinations stay readable."""
    result: dict[str, Any] = {}
    for name, keys in spec.lists.items():
        if name == "block_sizes" or rng.random() < 0.6:
            result[name] = [rng.choice(_values(name, key)) for key in keys]
    for name, key in spec.scalars.items():
        if rng.random() < 0.5:
            result[name] = rng.choice(key.choices)
    return spec.normalize(helion.Config(**result))


def _values(name: str, key: Any) -> tuple[Any, ...]:
    if name == "indexing" and key.legal(BLOCK_PTR):
        return tuple(dict.fromkeys((*key.choices, BLOCK_PTR)))
    return key.choices


def cheap(spec: ConfigSpec, config: helion.Config) -> bool:
    """Whether the interpreter runs it in a moment."""
    program = spec.program
    layout = Layout(program, dict(zip(program.blocks, config.get("block_sizes", ()), strict=True)))
    in_parts = roll_all(program, dict(zip(rollable(program), config.get("reduction_loops", ()), strict=False)))
    programs = 0
    for phase in program.phases:
        count = 1
        for r in phase.ranges:
            count *= tiles_of(r, layout) or 1
        programs += count
    assert axes(program, layout, config) is None or programs
    inner = [tiles_of(op.range, layout) or 8 for op in program.ops() if type(op).__name__ == "For"]
    return (
        programs * max([1, *inner]) <= MOST_PROGRAMS * 4
        and programs <= MOST_PROGRAMS
        and largest_value(in_parts, layout) <= MOST_LANES
    )


def sample_trial(rng: random.Random, dynamic: bool = False) -> Trial:
    case = rng.choice(CASES)
    dtype = rng.choice(case.dtypes)
    seed = rng.randrange(3)
    static = case.kernel.bind(case.make(seed, dtype)).config_spec
    spec = Trial(case, dtype, seed, helion.Config(), dynamic).spec
    for _ in range(200):
        config = sample(spec, rng)
        if cheap(static, static.repair(config)[0]) and (not dynamic or cheap(spec, config)):
            return Trial(case, dtype, seed, config, dynamic)
    return Trial(case, dtype, seed, spec.default(), dynamic)


def failure(trial: Trial) -> str | None:
    """What is wrong with the result, or None. Crashes count as wrong."""
    args = trial.case.make(trial.seed, trial.dtype)
    bound = trial.kernel.bind(args)
    problem = _failure(trial, bound, args)
    indices = any(isinstance(a, torch.Tensor) and not a.is_floating_point() for a in args)  # fit these sizes only
    for resized in RESIZED if trial.dynamic and problem is None and not indices else ():
        other = trial.case.make(trial.seed, trial.dtype, resized)
        if bound.holds(*other) and _has_result(trial.case, other):
            problem = problem or _failure(trial, bound, other)
    return problem


def _has_result(case: Case, args: tuple[Any, ...]) -> bool:
    """Whether torch computes anything: some operators refuse sizes of 0."""
    try:
        case.expected(args)
    except (IndexError, RuntimeError):
        return False
    return True


def _failure(trial: Trial, bound: helion.BoundKernel, args: tuple[Any, ...]) -> str | None:
    expected = trial.case.expected(args)
    try:
        found = as_tuple(bound.compile_config(trial.config).run(*args))
    except Exception as error:
        cause = error.__cause__ or error
        return f"{type(error).__name__}: {str(error)[:300]} <- {type(cause).__name__}: {str(cause)[:300]}"
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
        error = (a.double() - b.double()).abs().max().item() / scale if b.numel() else 0.0
        if not error <= HALF_TOLERANCE[trial.dtype]:
            return f"output {k} is off by {error:.3g} of {scale:.3g}"
    return None


def shrink(trial: Trial) -> Trial:
    """The trial with as many keys at their defaults as leave it failing."""
    spec = trial.spec
    default = spec.default()
    current = trial
    for key in trial.config:
        if current.config[key] == default[key]:
            continue
        changed = spec.normalize(current.config.replace(**{key: default[key]}))
        candidate = replace(trial, config=changed)
        if failure(candidate) is not None:
            current = candidate
    return current


def bad_keys(trial: Trial) -> dict[str, Any]:
    """The keys of a shrunk trial that differ from the default."""
    default = trial.spec.default()
    return {key: value for key, value in trial.config.items() if value != default[key]}


def run(
    seed: int, seconds: float | None = None, count: int | None = None, dynamic: bool = False
) -> tuple[int, list[str]]:
    """(trials run, descriptions of failures) for a number of seconds or of trials."""
    rng = random.Random(seed)
    failures: list[str] = []
    end = time.monotonic() + seconds if seconds is not None else None
    done = 0
    while (end is None or time.monotonic() < end) and (count is None or done < count):
        trial = sample_trial(rng, dynamic)
        problem = failure(trial)
        done += 1
        if problem is not None:
            small = shrink(trial)
            failures.append(f"{problem}\n  {trial}\n  bad keys: {bad_keys(small)} ({failure(small)})")
    return done, failures


def main() -> None:
    parser = argparse.ArgumentParser(description="Kernels under sampled configs against references.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--dynamic", action="store_true", help="kernels with static_shapes=False")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.monotonic()
    done, failures = run(options.seed, None if options.count else options.seconds, options.count, options.dynamic)
    for text in failures:
        print(text)
    print(f"seed {options.seed}: {done} trials in {time.monotonic() - start:.0f} s, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
