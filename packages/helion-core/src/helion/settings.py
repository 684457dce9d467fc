"""Every setting of a kernel, in one typed table: decorator keyword, else environment variable, else default.

This is the only module that reads environment variables.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from . import exc

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("expected 0 or 1")
    return lowered in _TRUE


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    parse.choices = choices  # type: ignore[attr-defined]
    return parse


def setting(default: Any, env: str | None, parse: Callable[[str], Any], doc: str) -> Any:
    """A field of `Settings`: its default, its environment variable, how that text is read, what it means."""
    return dataclasses.field(default=default, metadata={"env": env, "parse": parse, "doc": doc})


@dataclasses.dataclass(frozen=True)
class Settings:
    """How kernels are compiled, tuned and run. Frozen; `Settings.resolve` fills it from keywords and environment."""

    use_default_config: bool = setting(False, "HELION_USE_DEFAULT_CONFIG", _flag, "never tune, use the default config")
    autotune_effort: Literal["none", "quick", "full"] = setting(
        "full", "HELION_AUTOTUNE_EFFORT", _one_of("none", "quick", "full"), "how much to spend on tuning"
    )
    autotune_budget_seconds: float | None = setting(
        None, "HELION_AUTOTUNE_BUDGET_SECONDS", float, "stop tuning after this long (seconds), keep the best so far"
    )
    force_autotune: bool = setting(False, "HELION_FORCE_AUTOTUNE", _flag, "tune even if configs are given or cached")
    print_output_code: bool = setting(False, "HELION_PRINT_OUTPUT_CODE", _flag, "print the Triton code to stderr")
    print_repro: bool = setting(False, "HELION_PRINT_REPRO", _flag, "print a script that repeats the call to stderr")
    static_shapes: bool = setting(True, "HELION_STATIC_SHAPES", _flag, "specialise on sizes and strides")
    index_dtype: Literal["auto", "int32", "int64"] = setting(
        "auto", "HELION_INDEX_DTYPE", _one_of("auto", "int32", "int64"), "type of memory offsets"
    )
    dot_precision: Literal["tf32", "tf32x3", "ieee"] = setting(
        "tf32", "TRITON_F32_DEFAULT", _one_of("tf32", "tf32x3", "ieee"), "precision of float32 matrix products"
    )
    fast_math: bool = setting(False, "HELION_FAST_MATH", _flag, "approximate transcendental functions")
    autotune_log_level: str = setting("INFO", "HELION_AUTOTUNE_LOG_LEVEL", str, "what the tuner prints")
    autotune_log: str | None = setting(None, "HELION_AUTOTUNE_LOG", str, "path prefix of a CSV and a text log")
    autotune_compile_timeout: float = setting(60.0, "HELION_AUTOTUNE_COMPILE_TIMEOUT", float, "seconds per candidate")
    autotune_precompile_jobs: int | None = setting(
        None, "HELION_AUTOTUNE_PRECOMPILE_JOBS", int, "parallel compilations (None: one per core)"
    )
    autotune_random_seed: int = setting(0, "HELION_AUTOTUNE_RANDOM_SEED", int, "same seed, same proposals")
    autotune_accuracy_check: bool = setting(
        True, "HELION_AUTOTUNE_ACCURACY_CHECK", _flag, "reject candidates whose outputs are wrong"
    )
    autotune_progress_bar: bool = setting(True, "HELION_AUTOTUNE_PROGRESS_BAR", _flag, "progress on a terminal")
    autotuner: str = setting("guided", "HELION_AUTOTUNER", str, "search strategy, by name")
    autotune_cache: str = setting("local", "HELION_AUTOTUNE_CACHE", str, "config cache, by name")
    autotune_config_overrides: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"env": None, "doc": "config keys pinned to a value during tuning"}
    )
    autotune_seed_configs: tuple[Any, ...] = dataclasses.field(
        default=(), metadata={"env": None, "doc": "extra starting points for the search"}
    )
    interpret: bool = setting(False, "HELION_INTERPRET", _flag, "run the kernel as plain PyTorch, tile by tile")
    ignore_warnings: tuple[Any, ...] = setting((), "HELION_IGNORE_WARNINGS", _names, "warning classes to mute")
    allow_warp_specialize: bool = setting(True, "HELION_ALLOW_WARP_SPECIALIZE", _flag, "search warp specialisation")
    persistent_reserved_sms: int = setting(
        0, "HELION_PERSISTENT_RESERVED_SMS", int, "multiprocessors that persistent kernels leave free"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            choices = getattr(field.metadata.get("parse"), "choices", None)
            if choices is not None and value not in choices:
                raise exc.InvalidSetting(
                    key=field.name, problem=f"{value!r} is not allowed", allowed=f"allowed: {', '.join(choices)}"
                )
            _check_kind(field, value)
        object.__setattr__(self, "ignore_warnings", tuple(self.ignore_warnings))
        _check_warnings(self.ignore_warnings)
        object.__setattr__(self, "autotune_seed_configs", tuple(self.autotune_seed_configs))

    @classmethod
    def resolve(cls, keywords: Mapping[str, Any]) -> Settings:
        """Settings from decorator `keywords`, then the environment, then defaults. Raises `InvalidSetting`.

        Warns (`Misspelt`) of a variable that is nearly the name of one of ours.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in keywords.items():
            if name not in fields:
                raise exc.InvalidSetting(key=name, problem="there is no such setting", allowed=_closest(name, fields))
            values[name] = value
        for name, field in fields.items():
            env = field.metadata["env"]
            if name in values or env is None or env not in os.environ:
                continue
            try:
                values[name] = field.metadata["parse"](os.environ[env])
            except ValueError as error:
                raise exc.InvalidSetting(
                    key=name, problem=f"{env}={os.environ[env]!r}: {error}", allowed=field.metadata["doc"]
                ) from None
        settings = cls(**values)
        _check_environment([field.metadata["env"] for field in fields.values()], settings.ignore_warnings)
        return settings


_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    _flag: ((bool,), "a bool"), int: ((int,), "an int, not negative"), float: ((int, float), "a number, not negative"),
    str: ((str,), "a str"),
}  # fmt: skip


def _check_kind(field: dataclasses.Field[Any], value: Any) -> None:
    """Raises `InvalidSetting` for a value of another type than the setting's, and for negative numbers."""
    kinds, shown = _KINDS.get(field.metadata.get("parse"), ((object,), ""))
    if value is None and field.default is None:
        return
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds and object not in kinds)
    if wrong or (kinds[0] is int and not value >= 0):  # NaN is neither
        raise exc.InvalidSetting(key=field.name, problem=f"{value!r} is not allowed", allowed=f"give {shown}")


_OTHERS = ("HELION_LOGS", "HELION_CACHE_DIR", "HELION_SKIP_CACHE", "HELION_ASSERT_CACHE_HIT")
_told: set[str] = set()


def _check_environment(variables: Iterable[str | None], ignored: Iterable[Any]) -> None:
    """Warns once of each misspelt variable; a name that resembles none of ours may be somebody else's."""
    import difflib

    known = {name for name in (*variables, *_OTHERS) if name}
    for name in [n for n in os.environ if n.startswith("HELION_") and n not in known and n not in _told]:
        _told.add(name)
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
            exc.warn(exc.Misspelt(variable=name, problem="has no effect", instead=f"did you mean {close[0]}?"), ignored)


def _check_warnings(names: tuple[Any, ...]) -> None:
    known = exc.warning_names()
    for entry in names:
        name = entry if isinstance(entry, str) else getattr(entry, "__name__", repr(entry))
        if name not in known:
            raise exc.InvalidSetting(
                key="ignore_warnings", problem=f"there is no warning {name}", allowed=f"warnings: {', '.join(known)}"
            )


def _closest(name: str, known: Mapping[str, Any]) -> str:
    import difflib

    from .config import LIST_KEYS, SCALAR_KEYS, SINGULAR

    if name in (*LIST_KEYS, *SCALAR_KEYS, *SINGULAR):
        return f"`{name}` is a key of configs: write config=helion.Config({name}=...)"
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"settings: {', '.join(known)}"


def log_spec() -> str:
    """The text of HELION_LOGS: `all`, `+all`, or module names with an optional `+`, comma separated."""
    return os.environ.get("HELION_LOGS", "")


def cache_directory() -> str | None:
    """Folder of caches from HELION_CACHE_DIR, or None for the platform's own."""
    return os.environ.get("HELION_CACHE_DIR") or None


def skip_cache() -> bool:
    """Whether HELION_SKIP_CACHE asks to neither read nor write cached configs."""
    return _flag_of("HELION_SKIP_CACHE")


def assert_cache_hit() -> bool:
    """Whether HELION_ASSERT_CACHE_HIT makes a miss of the config cache an error."""
    return _flag_of("HELION_ASSERT_CACHE_HIT")


def _flag_of(variable: str) -> bool:
    try:
        return _flag(os.environ.get(variable, "0"))
    except ValueError as error:
        raise exc.InvalidSetting(
            key=variable, problem=f"{os.environ[variable]!r}: {error}", allowed="set it to 1, or leave it out"
        ) from None


def progress_wanted(settings: Settings) -> bool:
    """Whether a progress display is shown: asked for, and stderr is a terminal."""
    return settings.autotune_progress_bar and sys.stderr.isatty()
