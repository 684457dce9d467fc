"""`Config`: one choice for every decision that the compiler leaves open, as a hashable mapping."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from . import exc

SINGULAR = {
    "block_size": "block_sizes",
    "loop_order": "loop_orders",
    "flatten_loop": "flatten_loops",
    "reduction_loop": "reduction_loops",
    "l2_grouping": "l2_groupings",
    "range_unroll_factor": "range_unroll_factors",
    "range_num_stage": "range_num_stages",
    "range_multi_buffer": "range_multi_buffers",
    "range_flatten": "range_flattens",
    "range_warp_specialize": "range_warp_specializes",
    "static_range": "static_ranges",
    "load_eviction_policy": "load_eviction_policies",
}
LIST_KEYS = tuple(SINGULAR.values())
SCALAR_KEYS = (
    "indexing",
    "pid_type",
    "num_sm_multiplier",
    "maxnreg",
    "epilogue_subtile",
    "num_warps",
    "num_stages",
)


class Repairs(Protocol):
    """What says which configs are legal: the `config_spec` of a bound kernel."""

    def repair(self, config: Config) -> tuple[Config, list[str]]:
        """The legal config nearest to `config`, and a note for everything that was changed."""
        ...


class Config(Mapping[str, Any]):
    """A configuration of a kernel. Equal by value, hashable; prints as the Python text that recreates it.

    Accepts the spellings of the user documentation (singular keys, nested `block_sizes`, `use_yz_grid`) and holds the
    plural, flat form. Which values are legal depends on the kernel: `ConfigSpec.normalize` checks them.
    """

    __slots__ = ("_hash", "_items")

    def __init__(self, **keys: Any) -> None:
        self._items = {key: _freeze(value) for key, value in _canonical(keys).items()}
        self._hash: int | None = None

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self._items == other._items

    def __reduce__(self) -> tuple[Any, ...]:
        return Config.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        body = ", ".join(f"{key}={_thaw(value)!r}" for key, value in self._items.items())
        return f"helion.Config({body})"

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        try:
            return self._items[key]
        except KeyError:
            raise AttributeError(f"this config has no key `{key}`") from None

    def replace(self, **changes: Any) -> Config:
        """A copy with `changes` made."""
        return Config(**{**self._items, **_canonical(changes)})

    def repair(self, spec: Repairs) -> tuple[Config, list[str]]:
        """The nearest config that is legal for `spec`, and a note for everything that was changed."""
        return spec.repair(self)

    def to_dict(self) -> dict[str, Any]:
        """The keys as plain JSON values."""
        return {key: _thaw(value) for key, value in self._items.items()}

    @classmethod
    def from_dict(cls, keys: Mapping[str, Any]) -> Config:
        return cls(**keys)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Reads what `to_json` wrote. Raises `InvalidConfig` for anything that is not a JSON object."""
        try:
            keys = json.loads(text)
        except json.JSONDecodeError as error:
            raise exc.InvalidConfig(key="(json)", problem=f"is not JSON: {error}", allowed="a JSON object") from None
        if not isinstance(keys, dict):
            raise exc.InvalidConfig(key="(json)", problem=f"is a {type(keys).__name__}", allowed="a JSON object")
        return cls(**keys)

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Config:
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise exc.InvalidConfig(
                key="(file)", problem=f"{path} cannot be read: {error}", allowed="a file that Config.save wrote"
            ) from None
        return cls.from_json(text)


def as_config(value: Config | Mapping[str, Any]) -> Config:
    """`value` as a Config; a plain dict is taken as its keys."""
    if isinstance(value, Config):
        return value
    if isinstance(value, Mapping):
        return Config(**value)
    raise exc.InvalidConfig(
        key="config", problem=f"is a {type(value).__name__}", allowed="a helion.Config or a dict of its keys"
    )


def closest_key(name: str, known: Collection[str]) -> str:
    """What to write instead of a key that does not exist: the closest one, or all of them."""
    import difflib

    accepted = {*known, *SINGULAR}
    possible = [k for k in accepted if SINGULAR.get(k, k) in known]
    close = difflib.get_close_matches(name.lower(), possible, n=1, cutoff=0.75)
    return f"did you mean `{SINGULAR.get(close[0], close[0])}`?" if close else f"keys: {', '.join(known)}"


def _canonical(keys: Mapping[str, Any]) -> dict[str, Any]:
    """`keys` in plural, flat spelling. Contradicting spellings raise `InvalidConfig`."""
    result: dict[str, Any] = {}
    for key, value in keys.items():
        plural = SINGULAR.get(key, key)
        if plural != key:
            # a singular key speaks of the first entry only, unless it was given a list
            value = [value] if not isinstance(value, (list, tuple)) or plural == "loop_orders" else value
            if plural == "loop_orders" and value and isinstance(value[0][0], (list, tuple)):
                value = value[0]
        if plural in result and result[plural] != value:
            other = next(k for k in keys if SINGULAR.get(k, k) == plural)
            raise exc.InvalidConfig(key=key, problem=f"contradicts `{other}`", allowed=f"give `{plural}` only once")
        result[plural] = value
    if "block_sizes" in result:
        result["block_sizes"] = _flatten(result["block_sizes"])
    if "use_yz_grid" in result:
        _fold_yz_grid(result)
    return result


def _fold_yz_grid(keys: dict[str, Any]) -> None:
    """`use_yz_grid` as `pid_type`; ignored where L2 grouping is on, as the user documentation says."""
    wanted = keys.pop("use_yz_grid")
    groupings = keys.get("l2_groupings") or [1]
    if not isinstance(wanted, bool):
        raise exc.InvalidConfig(key="use_yz_grid", problem=f"{wanted!r} is not a bool", allowed="True or False")
    if groupings[0] > 1:
        return
    pid_type = "xyz" if wanted else "flat"
    if keys.setdefault("pid_type", pid_type) != pid_type and wanted:
        raise exc.InvalidConfig(
            key="use_yz_grid", problem=f"contradicts pid_type={keys['pid_type']!r}", allowed="give only one of the two"
        )


def _flatten(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value]
    return [leaf for entry in value for leaf in (_flatten(entry) if isinstance(entry, (list, tuple)) else [entry])]


def _freeze(value: Any) -> Any:
    return tuple(map(_freeze, value)) if isinstance(value, (list, tuple)) else value


def _thaw(value: Any) -> Any:
    return [_thaw(entry) for entry in value] if isinstance(value, tuple) else value
