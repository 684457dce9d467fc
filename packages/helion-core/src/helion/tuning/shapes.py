"""One table of configs for many shapes: each is tuned, then neighbouring shapes share the config that costs least."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from ..config import Config
from ..runtime.table import size_bucket
from .key import bucket
from .search import hardcoded
from .tuner import Tuner

if TYPE_CHECKING:
    from ..runtime.abstract import AbstractKernel
    from ..runtime.specialization import Specialization
    from ..runtime.targets import Target

MakeTuner = Callable[..., Tuner]


@dataclass(frozen=True)
class Row:
    """One shape. `best_ms`: with the config found for it alone, `own`; `shared_ms`: with its bucket's, `config`."""

    shape: str
    bucket: str
    own: Config
    best_ms: float
    config: Config
    shared_ms: float

    @property
    def loss(self) -> float:
        """What sharing costs: 0.02 is 2 % more time than with a config of its own."""
        return self.shared_ms / self.best_ms - 1.0


@dataclass(frozen=True)
class ShapeTable:
    """The result of `Kernel.autotune_shapes`; prints as a table."""

    rows: tuple[Row, ...]

    @property
    def configs(self) -> dict[str, Config]:
        """The shared config of every bucket."""
        return {row.bucket: row.config for row in self.rows}

    @property
    def loss(self) -> float:
        """What sharing costs on average: the geometric mean over shapes, less one."""
        return math.exp(sum(math.log1p(row.loss) for row in self.rows) / len(self.rows)) - 1.0

    @property
    def worst_loss(self) -> float:
        return max(row.loss for row in self.rows)

    def __str__(self) -> str:
        width = max(len(row.shape) for row in self.rows)
        lines = [f"{'shape':{width}}  own ms    shared ms  loss"]
        for name, config in self.configs.items():
            lines += [
                f"{row.shape:{width}}  {row.best_ms:<8.4f}  {row.shared_ms:<9.4f}  {100 * row.loss:+.1f} %"
                for row in self.rows
                if row.bucket == name
            ]
            lines.append(f"    {hardcoded(config)}")
        lines.append(
            f"{len(self.configs)} configs for {len(self.rows)} shapes lose {100 * self.loss:.1f} % on average, "
            f"{100 * self.worst_loss:.1f} % at worst"
        )
        return "\n".join(lines)


def tune_shapes(
    kernel: AbstractKernel, shapes: Sequence[Sequence[Any]], key: Callable[..., Hashable] | None, force: bool,
    target: Target | None = None, make_tuner: MakeTuner = Tuner,
) -> ShapeTable:  # fmt: skip
    """Tunes `kernel` for each of `shapes` (arguments of a call), then has all of a bucket share one config.

    A bucket is what `key(*args)` gives; by default tensors whose sizes round up to the same powers of two share one.
    Calls with these shapes use the shared configs from now on; with `static_shapes=False`, calls with any shapes use
    that of their bucket, or of the nearest.
    """
    grouped: dict[str, list[_Tuned]] = {}
    for args in shapes:
        tuned = _tuned(kernel, kernel.normalize_args(*args), target, make_tuner, force)
        name = default_bucket(tuned.args) if key is None else str(key(*tuned.args))
        grouped.setdefault(name, []).append(tuned)
    rows = []
    chosen: dict[Specialization, dict[Hashable, Config]] = {}
    bucket = size_bucket if key is None else lambda args: str(key(*args))
    for name, members in grouped.items():
        config, times = _shared(members)
        for member, own_ms, shared_ms in zip(members, times.own, times.shared, strict=True):
            rows.append(Row(shape_text(member.args), name, member.config, own_ms, config, shared_ms))
            chosen.setdefault(member.tuner.bound, {})[bucket(member.args)] = config
    for bound, configs in chosen.items() if target is None else ():
        if len(configs) > 1:
            bound.set_configs(configs, bucket)
        else:
            bound.set_config(next(iter(configs.values())))
    return ShapeTable(tuple(rows))


@dataclass(frozen=True)
class _Tuned:
    args: tuple[Any, ...]
    tuner: Tuner
    config: Config


@dataclass(frozen=True)
class _Times:
    """Milliseconds of every member of a bucket, with its own config and with the shared one."""

    own: tuple[float, ...]
    shared: tuple[float, ...]


def _tuned(
    kernel: AbstractKernel, args: tuple[Any, ...], target: Target | None, make_tuner: MakeTuner, force: bool
) -> _Tuned:
    bound = kernel.bind(args)
    chosen = target or bound.target
    if chosen is None:
        from .. import exc

        raise exc.UnsupportedDevice(device=bound.device)
    tuner = make_tuner(bound, args, chosen)
    return _Tuned(args, tuner, tuner.best(force))


def _shared(members: Sequence[_Tuned]) -> tuple[Config, _Times]:
    """The config with the smallest geometric mean of losses, among the best of all members."""
    candidates = list(dict.fromkeys(member.config for member in members))
    if len(members) == 1 or len(candidates) == 1:
        times = tuple(_time(m.tuner.times_of([m.config])[0]) for m in members)
        return candidates[0], _Times(times, times)
    table = [[_time(ms) for ms in _times_where_legal(member, candidates)] for member in members]
    own = [row[candidates.index(member.config)] for row, member in zip(table, members, strict=True)]

    def cost(k: int) -> float:
        return sum(math.log(row[k] / best) for row, best in zip(table, own, strict=True))

    chosen = min(range(len(candidates)), key=cost)
    return candidates[chosen], _Times(tuple(own), tuple(row[chosen] for row in table))


def _times_where_legal(member: _Tuned, candidates: Sequence[Config]) -> list[float | None]:
    from .. import exc

    spec = member.tuner.bound.spec_for(member.tuner.target)
    legal: list[Config | None] = []
    for config in candidates:
        try:
            legal.append(spec.normalize(config))
        except exc.InvalidConfig:
            legal.append(None)
    times = iter(member.tuner.times_of([config for config in legal if config is not None]))
    return [None if config is None else next(times) for config in legal]


def _time(milliseconds: float | None) -> float:
    return math.inf if milliseconds is None else milliseconds


def shape_text(args: Sequence[Any]) -> str:
    """Sizes of the tensors among `args`: `8192x8192, 8192`."""
    return ", ".join("x".join(map(str, t.size())) or "()" for t in _tensors(args))


def default_bucket(args: Sequence[Any]) -> str:
    """Sizes rounded up to powers of two, with dtypes."""
    parts = []
    for tensor in _tensors(args):
        sizes = "x".join(str(bucket(n)) for n in tensor.size())
        parts.append(f"{str(tensor.dtype).removeprefix('torch.')}[{sizes}]")
    return ", ".join(parts)


def _tensors(args: Sequence[Any]) -> list[torch.Tensor]:
    return [a for a in tree_leaves(list(args)) if isinstance(a, torch.Tensor)]
