"""The tuner's problem: the points of a kernel's search space, and what is sent to the processes that evaluate one."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from helion_autotune import SearchSpace
from helion_autotune.points import Point, point_key

from .. import exc
from ..config import Config, as_config
from ..internal import internal_errors
from ..lower.effects import Effects, effects
from ..runtime.launching.signature import signature
from .arguments import describe, save
from .capture import Grids, host_shape, run_host
from .key import described
from .limits import Limits
from .scratch import Scratch

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..lower.spec import ConfigSpec
    from ..runtime.specialization import Specialization
    from ..runtime.targets import Target


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Captured:
    """What configs with the same host code share."""

    path: str
    aligned: tuple[bool, ...]
    numbers: tuple[Any, ...]
    grids: Grids
    fits: bool  # whether tensors start where descriptors may


class Problem:
    """A bound kernel with the arguments of one call, to be tuned for `target`. Close it to remove its files."""

    def __init__(self, bound: Specialization, args: Sequence[Any], target: Target) -> None:
        self.bound, self.args, self.target = bound, tuple(args), target
        self.spec: ConfigSpec = bound.spec_for(target)
        self._captured: dict[str, _Captured] = {}
        self._payloads: dict[str, dict[str, Any]] = {}
        self._defective = False

    @cached_property
    def effects(self) -> Effects:
        return effects(self.bound.program)

    @property
    def label(self) -> str:
        """The kernel and what it is tuned for: `softmax(float32[128, 256], float)`."""
        return f"{self.bound.kernel.name}({', '.join(described(a, exact=True) for a in self.args)})"

    @cached_property
    def _scratch(self) -> Scratch:
        return Scratch()

    def close(self) -> None:
        """Removes the files of captured arguments."""
        if "_scratch" in self.__dict__:
            self._scratch.close()

    # --- points

    def space(self, overrides: Mapping[str, Any] | None = None, seeds: Iterable[Any] = ()) -> SearchSpace:
        """The space of the kernel, with the keys in `overrides` pinned and the configs `seeds` tried first.

        Raises `InvalidConfig` for an override or a seed that this kernel cannot have.
        """
        from ..lower.space import search_space

        plain = search_space(self.spec)
        own = {point_key(p) for p in (plain.default(), *plain.seeds)}
        limits = Limits(self.spec, self.target)
        space = SearchSpace(
            plain.parameters, [lambda p: point_key(p) in own or limits.allow(p)], plain.default(), plain.seeds
        )
        points = (self.known_point(as_config(seed), space) for seed in seeds)
        return self._pinned(space.seeded([p for p in points if p is not None]), overrides or {})

    def known_point(self, config: Config, space: SearchSpace) -> Point | None:
        """The point of `space` nearest to a legal `config`. Raises `InvalidConfig`."""
        return space.repair(self.point(config))

    def _pinned(self, space: SearchSpace, overrides: Mapping[str, Any]) -> SearchSpace:
        """Pins to values that are legal, also if they are not searched."""
        from helion_autotune.space import Fixed

        if not overrides:
            return space
        point = self.point(as_config(overrides))
        values = {name: point[name] for name in Config(**overrides)}
        parameters = {name: Fixed(values[name]) if name in values else p for name, p in space.parameters.items()}
        seeds = [{**seed, **values} for seed in space.seeds]
        return SearchSpace(parameters, (), {**space.default(), **values}, seeds)

    def given(self, configs: Sequence[Any]) -> tuple[SearchSpace, list[Point]]:
        """A space that holds exactly the values in `configs`, and these as its points. Raises `InvalidConfig`."""
        from helion_autotune.space import Enum

        points = list({point_key(p): p for p in map(self.point, map(as_config, configs))}.values())
        values: dict[str, dict[str, Any]] = {}
        for point in points:
            for name, value in point.items():
                values.setdefault(name, {})[json.dumps(value)] = value
        return SearchSpace({n: Enum(list(v.values())) for n, v in values.items()}, (), points[0]), points

    def point(self, config: Config) -> Point:
        """A config as a point. Raises `InvalidConfig`."""
        from ..lower.space import to_point

        return to_point(self.spec, config)

    def config(self, point: Point) -> Config:
        """The config of a point. Raises `InvalidConfig`."""
        from ..lower.space import to_config

        return to_config(self.spec, point)

    def repaired(self, point: Point, space: SearchSpace) -> Point | None:
        """A point found for other shapes or another GPU as one of `space`, or None."""
        with contextlib.suppress(exc.Base, TypeError, ValueError, KeyError, IndexError):
            config, _ = self.spec.repair(Config(**point))
            return space.repair(self.point(config))
        return None

    # --- candidates

    def payload(self, point: Point) -> dict[str, Any]:
        """What the processes that compile and measure are sent: source, types, target, options, and the launch.

        Configs that run the same code have equal payloads.
        """
        with self._told("generating code for a candidate"):
            generated = self.bound.generate(self.config(point), self.target)
        found = self._payloads.get(generated.identity)
        if found is None:
            found = self._payloads[generated.identity] = self._payload(generated)
        return found

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """A defect of ours costs a search the config, and is told once."""
        try:
            with internal_errors(doing):
                yield
        except exc.InternalError as error:
            if not self._defective:
                log.warning("%s: configs are left out of the search: %s", self.bound.kernel.name, error)
            self._defective = True
            raise

    def _payload(self, generated: Generated) -> dict[str, Any]:
        captured, grid = self._launch(generated)
        if generated.descriptors and not captured.fits:
            generated = generated.with_pointers()
        tensors = generated.program.tensors
        return {
            "source": generated.kernel_source,
            "name": generated.kernel_name,
            "signature": signature(generated, captured.numbers),
            "aligned": list(captured.aligned),
            "target": self.target.name,
            "options": dict(generated.options),
            "launch": {
                "arguments": captured.path,
                "grid": list(grid),
                "descriptors": [[tensors.index(d.tensor), list(d.dims), list(d.block)] for d in generated.descriptors],
            },
        }

    def _launch(self, generated: Generated) -> tuple[_Captured, tuple[int, ...]]:
        shape = host_shape(generated)
        found = self._captured.get(shape)
        if found is not None:
            with self._told("finding the grid of a candidate"):
                return found, found.grids(generated)
        launch = run_host(generated, self.args)
        count = len(generated.program.tensors)
        tensors = launch.values[:count]
        path = self._scratch.path / f"arguments-{len(self._captured)}.pt"
        save(path, *describe(launch.values, self.effects))
        aligned = tuple(t.data_ptr() % 16 == 0 for t in tensors)
        fits = all(aligned) and all(t.numel() for t in tensors)
        found = _Captured(str(path), aligned, tuple(launch.values[count:]), Grids(launch), fits)
        self._captured[shape] = found
        return found, launch.grid

    def screen(self, facts: Mapping[str, Any]) -> str | None:
        """Why a compiled candidate is not worth a measurement, by what the compiler said; None if it is."""
        shared, spills = facts.get("shared_memory", 0), facts.get("spills", 0)
        if shared > self.target.shared_memory:
            return f"needs {shared} bytes of shared memory, {self.target.name} has {self.target.shared_memory}"
        if spills > _MOST_SPILLS:
            return f"spills {spills} bytes per thread"
        return None


_MOST_SPILLS = 1024  # bytes per thread
