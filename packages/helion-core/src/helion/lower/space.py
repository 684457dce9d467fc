"""The search space of a kernel as the tuner's parameters, and configs as its points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import Config
from .keys import Key, is_int, is_power_of_two, powers
from .spec import ConfigSpec

if TYPE_CHECKING:
    from helion_autotune.space import Parameter, SearchSpace


def search_space(spec: ConfigSpec) -> SearchSpace:
    """The space of `spec`: one list parameter per list key, its default and ranked seeds from the planner."""
    from helion_autotune.space import ListOf
    from helion_autotune.space import SearchSpace as Space

    parameters: dict[str, Any] = {name: ListOf([parameter(k) for k in keys]) for name, keys in spec.lists.items()}
    parameters |= {name: parameter(key) for name, key in spec.scalars.items()}
    default, *seeds = (to_point(spec, config) for config in spec.seeds())
    repaired = ({name: parameters[name].repair(value) for name, value in seed.items()} for seed in seeds)
    return Space(parameters, (), default, list(repaired))


def parameter(key: Key) -> Parameter:
    """The values of one key that are worth searching."""
    from helion_autotune.space import Boolean, Enum, Fixed, Integer, OrNone, Permutation, PowerOfTwo

    choices, default = list(key.choices), _plain(key.default)
    if len(choices) == 1:
        return Fixed(_plain(choices[0]))
    if all(isinstance(c, tuple) for c in choices):
        return Permutation(len(choices[0]), default)
    if all(isinstance(c, bool) for c in choices):
        return Boolean(default)
    numbers = sorted(c for c in choices if is_int(c))
    if (
        key.ordered
        and len(numbers) > 1
        and all(map(is_power_of_two, numbers))
        and numbers == list(powers(numbers[0], numbers[-1]))
    ):
        inner = PowerOfTwo(numbers[0], numbers[-1], default if default is not None else None)
        return OrNone(inner, default) if None in choices else inner
    if key.ordered and numbers == choices and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return Integer(numbers[0], numbers[-1], default)
    return Enum([_plain(c) for c in choices], default)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def to_point(spec: ConfigSpec, config: Config) -> dict[str, Any]:
    """A config of `spec` as a point: every key, collective lists written out."""
    normal = spec.normalize(config)
    point = normal.to_dict()
    for name in spec.collective & point.keys():
        point[name] = list(spec.spread(name, normal[name]))
    return point


def to_config(spec: ConfigSpec, point: dict[str, Any]) -> Config:
    """The normalised config that a point stands for."""
    return spec.normalize(Config(**point))
