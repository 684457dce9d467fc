"""The search space of a kernel: which keys its configs have, which values are legal, what the default is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import exc, ir
from ..config import Config, closest_key
from ..ir import BlockSize, Load, Program
from . import access, defaults
from .defaults import Plan, as_keys, next_smaller, plans, useful_limit
from .flatten import can_flatten
from .keys import (
    Key,
    bool_key,
    choice_key,
    int_key,
    optional_power_key,
    permutation_key,
    power_key,
    powers,
)  # fmt: skip
from .rolling import default_part, rollable
from .structure import constant_loops, device_loops, dims_of, multi_dim_loops, multiplying_loops
from .subtile import PARTS, columns
from .target import Target

LARGEST_BLOCK = 2**20
PID_TYPES = ("flat", "xyz", "persistent_blocked", "persistent_interleaved")
EVICTION_POLICIES = ("", "first", "last")
REGISTER_CAPS = (None, 64, 96, 128, 168, 192, 255)
SMALLEST_REDUCTION_LOOP = 16
LARGEST_PART = 32768  # of a row whose length is not known


@dataclass
class ConfigSpec:
    """The configs of one program. `lists` are keys with one `Key` per entry, `scalars` keys with one value.

    A list in `collective` may be given as one value for all entries; where it is illegal, an entry takes the plain
    choice.
    """

    program: Program
    target: Target | None = None
    lists: dict[str, list[Key]] = field(default_factory=dict)
    scalars: dict[str, Key] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)

    collective = frozenset({"indexing"})

    def default(self) -> Config:
        """The config used when nobody tunes."""
        return self._config(self.plans[0]) if self.plans else self._fill({})

    def seeds(self) -> list[Config]:
        """Promising configs, best first; the default leads."""
        return list(dict.fromkeys(self._config(plan) for plan in self.plans)) or [self.default()]

    def smaller(self, config: Config) -> Config | None:
        """The next config to try where `config` asks for more than the target has, or None."""
        blocks = dict(zip(self.program.blocks, config.get("block_sizes", ()), strict=True))
        plan = Plan(blocks, config["num_warps"], config["num_stages"])
        lesser = next_smaller(plan)
        if lesser is None:
            return None
        changed: dict[str, Any] = {"num_stages": lesser.num_stages}
        if blocks:
            changed["block_sizes"] = [lesser.block_sizes[b] for b in self.program.blocks]
        return self.normalize(config.replace(**changed))

    def _config(self, plan: Plan) -> Config:
        keys = as_keys(plan, self.program)
        result: dict[str, Any] = {}
        for name, value in keys.items():
            if name in self.lists:
                entries = value if isinstance(value, list) else [value] * len(self.lists[name])
                result[name] = [
                    v if key.legal(v) else key.default for key, v in zip(self.lists[name], entries, strict=True)
                ]
            elif name in self.scalars and self.scalars[name].legal(value):
                result[name] = value
        return self._fill(result)

    def _fill(self, given: Mapping[str, Any]) -> Config:
        result = {name: given.get(name, [key.default for key in keys]) for name, keys in self.lists.items()}
        result |= {name: given.get(name, key.default) for name, key in self.scalars.items()}
        for name in self.collective & result.keys():
            result[name] = self._collected(name, result[name])
        return Config(**result)

    # --- checking

    def normalize(self, config: Config) -> Config:
        """`config` checked and completed with defaults. Raises `InvalidConfig` naming key, value and what is
        allowed.
        """
        known = {**self.lists, **self.scalars}
        for name in config:
            if name not in known:
                self._refuse_unknown(name, config[name], known)
        base = self.default() if self.plans else {}
        result: dict[str, Any] = {}
        for name, keys in self.lists.items():
            if name in config:
                result[name] = _check_list(name, self.spread(name, config[name]), keys)
            elif name in base and name == "block_sizes":
                result[name] = list(base[name])
            else:
                result[name] = [key.default for key in keys]
        for name, key in self.scalars.items():
            result[name] = _check(name, config[name], key) if name in config else key.default
        return self._fill(result)

    def spread(self, name: str, value: Any) -> Any:
        """One value for all entries of a collective list as a list, with pointers where it cannot apply."""
        if name not in self.collective or isinstance(value, tuple):
            return value
        if name == "indexing" and value in access.INDEXING:
            return tuple(value if key.legal(value) else access.POINTER for key in self.lists[name])
        return tuple(value for _ in self.lists[name])

    def _collected(self, name: str, value: Any) -> Any:
        """The shortest spelling of a collective list: one value, where it means the same."""
        if not isinstance(value, (list, tuple)):
            return value
        for single in access.INDEXING:
            if tuple(value) == self.spread(name, single):
                return single
        return tuple(value)

    def _refuse_unknown(self, name: str, value: Any, known: Mapping[str, Any]) -> None:
        """Keys that other kernels have are accepted where they ask for nothing; anything else is a mistake."""
        if name in _NEUTRAL and all(v in _NEUTRAL[name] for v in (value if isinstance(value, tuple) else (value,))):
            return
        reason = "this kernel has no such choice" if name in _NEUTRAL else "there is no such key"
        raise exc.InvalidConfig(key=name, problem=f"{reason} (value {value!r})", allowed=closest_key(name, known))

    def repair(self, config: Config) -> tuple[Config, list[str]]:
        """The legal config nearest to `config`, and a note for everything that was changed."""
        notes: list[str] = []
        result: dict[str, Any] = {}
        for name, value in config.items():
            if name in self.lists:
                result[name] = self._repaired_list(name, value, notes)
            elif name in self.scalars:
                result[name] = _noted(name, value, self.scalars[name].nearest(value), notes)
            elif name not in _NEUTRAL:
                notes.append(f"{name}: dropped, there is no such key")
            elif not all(v in _NEUTRAL[name] for v in (value if isinstance(value, tuple) else (value,))):
                notes.append(f"{name}: dropped, this kernel has no such choice")
        return self.normalize(Config(**result)), notes

    def _repaired_list(self, name: str, value: Any, notes: list[str]) -> list[Any]:
        keys = self.lists[name]
        given = self.spread(name, value)
        given = given if isinstance(given, tuple) else (given,) * len(keys)
        if len(given) != len(keys):
            notes.append(f"{name}: {len(given)} entries given, {len(keys)} wanted")
        padded = [*given, *(key.default for key in keys[len(given) :])]
        return [
            _noted(f"{name}[{k}]", v, key.nearest(v), notes)
            for k, (key, v) in enumerate(zip(keys, padded, strict=False))
        ]

    def __str__(self) -> str:
        lines = [f"search space of {self.program.name}:"]
        for name, keys in self.lists.items():
            for k, key in enumerate(keys):
                lines.append(f"  {name}[{k}]: {key.allowed} (default {key.default!r})")
        for name, key in self.scalars.items():
            lines.append(f"  {name}: {key.allowed} (default {key.default!r})")
        return "\n".join(lines)


# Values that leave the program as it is, for keys that a kernel may not have.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "block_sizes": (), "loop_orders": ((0,), ()), "flatten_loops": (False,), "reduction_loops": (None,),
    "l2_groupings": (1,), "indexing": access.INDEXING, "pid_type": ("flat",), "num_sm_multiplier": (1,),
    "maxnreg": (None,), "range_unroll_factors": (0,), "range_num_stages": (0,), "range_multi_buffers": (None,),
    "range_flattens": (None,), "range_warp_specializes": (None,), "static_ranges": (False,),
    "load_eviction_policies": ("",), "epilogue_subtile": (None,),
}  # fmt: skip


def _noted(name: str, old: Any, new: Any, notes: list[str]) -> Any:
    if old != new or isinstance(old, bool) != isinstance(new, bool):
        notes.append(f"{name}: {old!r} is not legal here, {new!r} is the nearest that is")
    return new


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


# --- the keys of a program


def config_spec(program: Program, target: Target | None = None) -> ConfigSpec:
    """The search space of `program` on `target` (None: the interpreter): only keys that can change its code."""
    spec = ConfigSpec(program, target)
    for name, keys in _list_keys(program, target).items():
        if keys:
            spec.lists[name] = keys
    spec.scalars = {name: key for name, key in _scalar_keys(program, target).items() if len(key.choices) > 1}
    spec.scalars |= {name: choice_key(f.values(), f.default) for name, f in program.tunables.items()}
    spec.plans = list(plans(program, target))
    _take_defaults(spec)
    return spec


def _list_keys(program: Program, target: Target | None) -> dict[str, list[Key]]:
    grids = [len(phase.ranges) for phase in program.phases if len(phase.ranges) > 1]
    loops, reductions = device_loops(program), rollable(program)
    has_tma = target is None or (target.backend == "cuda" and int(target.arch) >= 90)
    specialize = (None, False, True) if _specializes(target) else (None,)
    return {
        "block_sizes": [_block_key(block) for block in program.blocks],
        "loop_orders": [permutation_key(dims_of(loop)) for loop in multi_dim_loops(program)],
        "flatten_loops": _flatten_keys(program),
        "l2_groupings": [power_key(1, 64, default=1) for _ in grids],
        "reduction_loops": [_reduction_key(r, default_part(reductions)) for r in reductions],
        "indexing": _indexing_keys(program, has_tma),
        "load_eviction_policies": [
            choice_key(EVICTION_POLICIES, "") for op in program.ops() if isinstance(op, Load) and op.eviction is None
        ],
        "range_unroll_factors": [int_key(0, 4, 0, " (0: left to Triton)") for _ in loops],
        "range_num_stages": [int_key(0, 4, 0, " (0: left to Triton)") for _ in loops],
        "range_multi_buffers": [choice_key((None, False, True), None) for _ in multiplying_loops(program)],
        "range_flattens": [choice_key((None, False, True), None) for _ in loops],
        "range_warp_specializes": [choice_key((None, False, True), None, specialize) for _ in loops],
        "static_ranges": [bool_key() for _ in constant_loops(program)],
    }


def _scalar_keys(program: Program, target: Target | None) -> dict[str, Key]:
    dims = max(len(phase.ranges) for phase in program.phases)
    xyz = len(program.phases) == 1 and 1 < dims <= 3
    pid_types = PID_TYPES if xyz else tuple(p for p in PID_TYPES if p != "xyz")
    staged = program.stages > 1  # programs that wait for each other must all be resident
    if staged:
        pid_types = tuple(p for p in PID_TYPES if p.startswith("persistent"))
    nvidia = target is None or target.backend == "cuda"
    warps = 32 if target is None or target.warp_size == 32 else 16
    return {
        "num_warps": power_key(1, warps, default=4),
        "num_stages": int_key(1, 8, default=2),
        "epilogue_subtile": choice_key(PARTS if columns(program) is not None else (None,), None),
        "pid_type": choice_key(pid_types, "persistent_interleaved" if staged else "flat"),
        "num_sm_multiplier": power_key(1, 1 if staged else 4, default=1),
        "maxnreg": choice_key(REGISTER_CAPS if nvidia else (None,), None),
    }


def _specializes(target: Target | None) -> bool:
    """Whether Triton's warp specialisation is worth searching: it never won on sm_90, and some of it fails to
    compile.
    """
    return target is not None and target.backend == "cuda" and int(target.arch) >= 100


def _indexing_keys(program: Program, has_tma: bool) -> list[Key]:
    keys = []
    for op in access.accesses(program):
        legal = access.choices(op, program, has_tma)
        searched = tuple(c for c in legal if c != access.BLOCK_PTR or not has_tma)
        keys.append(choice_key(legal, access.POINTER, searched))
    return keys if any(len(key.choices) > 1 for key in keys) else []


def _flatten_keys(program: Program) -> list[Key]:
    grids = [phase for phase in program.phases if len(phase.ranges) > 1]
    can = [can_flatten(program, phase) for phase in grids]
    return [bool_key() if yes else choice_key((False,), False) for yes in can] if any(can) else []


def _block_key(block: BlockSize) -> Key:
    """Legal are all powers of two from the minimum on; worth searching those up to the extent."""
    low = defaults.next_power_of_two(block.minimum)
    key = power_key(low, LARGEST_BLOCK, low)
    limit = useful_limit(block)
    return Key(low, powers(low, limit), key.legal, f"{key.allowed} (useful up to {limit})", ordered=True)


def _reduction_key(r: ir.Range, part: int) -> Key:
    if not isinstance(r.end, int):
        return power_key(SMALLEST_REDUCTION_LOOP, LARGEST_PART, part)
    lanes = defaults.next_power_of_two(r.end)
    return optional_power_key(SMALLEST_REDUCTION_LOOP, max(SMALLEST_REDUCTION_LOOP, lanes // 2), None)


def _take_defaults(spec: ConfigSpec) -> None:
    """Gives every key the default of the best plan."""
    if not spec.plans:
        return
    default = spec.default()
    for name, keys in spec.lists.items():
        values = spec.spread(name, default[name])
        spec.lists[name] = [key.with_default(v) for key, v in zip(keys, values, strict=True)]
    for name, key in spec.scalars.items():
        spec.scalars[name] = key.with_default(default[name])
