"""The search space of a kernel: which keys its configs have, which values are legal, what the default is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import exc
from ..config import Config
from ..ir import BlockSize, Program
from .defaults import default_block_sizes, default_launch

LARGEST_BLOCK = 2**20


@dataclass(frozen=True)
class Key:
    """One entry of a config key: its default, the values worth searching, and which values are legal at all."""

    default: Any
    choices: tuple[Any, ...]
    legal: Callable[[Any], bool]
    allowed: str


@dataclass
class ConfigSpec:
    """The configs of one program. `lists` are keys with one `Key` per entry, `scalars` keys with one value."""

    program: Program
    lists: dict[str, list[Key]] = field(default_factory=dict)
    scalars: dict[str, Key] = field(default_factory=dict)

    def default(self) -> Config:
        """The config used when nobody tunes."""
        return Config(
            **{name: [k.default for k in keys] for name, keys in self.lists.items()},
            **{name: key.default for name, key in self.scalars.items()},
        )

    def normalize(self, config: Config) -> Config:
        """`config` checked and completed with defaults. Raises `InvalidConfig` naming key, value and what is allowed."""
        known = {**self.lists, **self.scalars}
        for name in config:
            if name not in known:
                self._refuse_unknown(name, config[name], known)
        result: dict[str, Any] = {}
        for name, keys in self.lists.items():
            if name in config:
                result[name] = _check_list(name, config[name], keys)
            else:
                result[name] = [key.default for key in keys]
        for name, key in self.scalars.items():
            result[name] = _check(name, config[name], key) if name in config else key.default
        return Config(**result)

    def _refuse_unknown(self, name: str, value: Any, known: Mapping[str, Any]) -> None:
        """Keys that other kernels have are accepted where they ask for nothing; anything else is a mistake."""
        if name in _NEUTRAL and all(v in _NEUTRAL[name] for v in (value if isinstance(value, tuple) else (value,))):
            return
        reason = "this kernel has no such choice" if name in _NEUTRAL else "there is no such key"
        raise exc.InvalidConfig(key=name, problem=f"{reason} (value {value!r})", allowed=f"keys: {', '.join(known)}")

    def __str__(self) -> str:
        lines = [f"search space of {self.program.name}:"]
        for name, keys in self.lists.items():
            for k, key in enumerate(keys):
                lines.append(f"  {name}[{k}]: {key.allowed} (default {key.default})")
        for name, key in self.scalars.items():
            lines.append(f"  {name}: {key.allowed} (default {key.default!r})")
        return "\n".join(lines)


# Values that leave the program as it is, for keys that a kernel may not have.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "loop_orders": ((0,), ()), "flatten_loops": (False,), "reduction_loops": (None,), "l2_groupings": (1,),
    "pid_type": ("flat",), "num_sm_multiplier": (1,), "maxnreg": (None,), "range_unroll_factors": (0,),
    "range_num_stages": (0,), "range_multi_buffers": (None,), "range_flattens": (None,),
    "range_warp_specializes": (None,), "static_ranges": (False,), "load_eviction_policies": ("",),
    "epilogue_subtile": (None,),
}  # fmt: skip


def _check(name: str, value: Any, key: Key) -> Any:
    if not key.legal(value):
        raise exc.InvalidConfig(key=name, problem=f"{value!r} is not legal", allowed=f"allowed: {key.allowed}")
    return value


def _check_list(name: str, values: Any, keys: list[Key]) -> list[Any]:
    if not isinstance(values, tuple) or len(values) != len(keys):
        count = len(values) if isinstance(values, tuple) else 1
        raise exc.InvalidConfig(
            key=name, problem=f"has {count} entries ({values!r}), but this kernel has {len(keys)}",
            allowed="; ".join(f"[{k}]: {key.allowed}" for k, key in enumerate(keys)),
        )  # fmt: skip
    return [_check(f"{name}[{k}]", value, key) for k, (value, key) in enumerate(zip(values, keys, strict=True))]


def config_spec(program: Program) -> ConfigSpec:
    """The search space of `program`: only keys that can change its code."""
    spec = ConfigSpec(program)
    defaults = default_block_sizes(program)
    if program.blocks:
        spec.lists["block_sizes"] = [_block_key(block, defaults[block]) for block in program.blocks]
    grids = [len(phase.ranges) for phase in program.phases if len(phase.ranges) > 1]
    if grids:
        spec.lists["loop_orders"] = [_permutation_key(n) for n in grids]
        spec.lists["l2_groupings"] = [_power_key(1, 64, default=1) for _ in grids]
    warps, stages = default_launch(program, defaults)
    spec.scalars["num_warps"] = _power_key(1, 32, default=warps)
    spec.scalars["num_stages"] = _range_key(1, 8, default=stages)
    spec.scalars["indexing"] = Key("pointer", ("pointer",), lambda v: True, "'pointer'")
    return spec


def _is_power_of_two(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0 and value & (value - 1) == 0


def _power_key(low: int, high: int, default: int) -> Key:
    choices = tuple(2**e for e in range(low.bit_length() - 1, high.bit_length()))
    return Key(default, choices, lambda v: _is_power_of_two(v) and low <= v <= high, f"a power of two, {low} to {high}")


def _range_key(low: int, high: int, default: int) -> Key:
    def legal(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Key(default, tuple(range(low, high + 1)), legal, f"an int, {low} to {high}")


def _block_key(block: BlockSize, default: int) -> Key:
    """Legal are all powers of two from the minimum on; worth searching those up to the extent."""
    key = _power_key(block.minimum, LARGEST_BLOCK, default)
    limit = largest_useful(block)
    return Key(default, tuple(c for c in key.choices if c <= limit), key.legal, f"{key.allowed} (useful up to {limit})")


def largest_useful(block: BlockSize) -> int:
    """The smallest power of two that covers the block's extent, within its own bounds."""
    limit = LARGEST_BLOCK if block.maximum is None else block.maximum
    if isinstance(block.extent, int):
        limit = min(limit, 1 << max(0, block.extent - 1).bit_length())
    return max(block.minimum, limit)


def _permutation_key(n: int) -> Key:
    def legal(value: Any) -> bool:
        return isinstance(value, tuple) and sorted(value) == list(range(n))

    choices = tuple(itertools.permutations(range(n))) if n <= 4 else (tuple(range(n)),)
    return Key(tuple(range(n)), choices, legal, f"a permutation of 0..{n - 1}")
