"""Fake tensors and symbols of torch without torch._dynamo, which takes a second to import.

Torch asks that package for its settings alone while it makes and runs on fake tensors, and imports it for symbols to
be able to check its own rules with an SMT solver, which is off. Until somebody imports the real modules, stand-ins
have what is asked for; they import the real ones when they are asked for more.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CellType, FunctionType, ModuleType
from typing import Any

import torch
from torch._guards import GuardSource, Source
from torch._logging import trace_structured
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental import _config as symbol_settings

_DYNAMO, _SETTINGS = "torch._dynamo", "torch._dynamo.config"
_VALIDATOR = "torch.fx.experimental.validator"
_lock = threading.RLock()


@dataclass(frozen=True)
class Named(Source):
    """What a symbol of a ShapeEnv stands for, by its name; no guards are made of it."""

    source_name: str

    @functools.cached_property
    def guard_source(self) -> GuardSource:
        return GuardSource.CONSTANT

    @property
    def _name_template(self) -> str:
        return self.source_name


class _StandIn(ModuleType):
    """A module of which some names are there, and others when they are asked for."""

    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # `from module import name` asks whether the module is a package
            raise AttributeError(name)
        with _lock:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def fake_mode(**options: Any) -> FakeTensorMode:
    """A FakeTensorMode made with `options`."""
    with _lock:
        if _DYNAMO not in sys.modules and _SETTINGS not in sys.modules:
            _do_without_dynamo()
    return FakeTensorMode(**options)


def _do_without_dynamo() -> None:
    settings = _settings_of_dynamo()
    if settings is None:
        return
    # no entry of sys.modules: those who look there for the package shall not find it
    torch.__dict__.setdefault("_dynamo", _StandIn(_DYNAMO, config=settings))
    tables = torch._decomp.global_decomposition_table.values()
    references = [f for space in (vars(torch._refs), *tables) for f in space.values()]
    not_compiled(FakeTensorMode.__torch_dispatch__, *references)


def not_compiled(*functions: Any) -> None:
    """Has torch keep torch.compile from looking into parts of `functions` without importing torch._dynamo for it.

    Torch's wrapper of such a part imports the package at the first call and remembers what that makes of the part.
    Ours is remembered in its place, and asks the package once somebody has imported it.
    """
    seen: set[int] = set()
    waiting = [f for f in functions if isinstance(f, FunctionType)]
    while waiting:
        function = waiting.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        enclosed = [c.cell_contents for c in function.__closure__ or () if _is_function(c)]
        waiting += enclosed
        if function.__globals__["__name__"] == "torch._compile":
            for part in enclosed:
                vars(part).setdefault("__dynamo_disable", _Disabled(part))


def _is_function(cell: CellType) -> bool:
    try:
        return isinstance(cell.cell_contents, FunctionType)
    except ValueError:  # empty
        return False


class _Disabled:
    """A function that torch.compile does not look into, once there is one that could; then torch's wrapper of it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        disable = getattr(sys.modules.get(_DYNAMO), "disable", None)
        if disable is None:
            return self.function(*args, **kwargs)
        disabled = vars(self.function)["__dynamo_disable"] = disable(self.function, wrapping=False)
        return disabled(*args, **kwargs)


def _settings_of_dynamo() -> ModuleType | None:
    """torch._dynamo.config, imported without its package, which takes it as it is when it is imported; None where a
    release of torch has it elsewhere.
    """
    package = importlib.util.find_spec(_DYNAMO)
    path = Path(package.origin).with_name("config.py") if package is not None and package.origin else None
    spec = importlib.util.spec_from_file_location(_SETTINGS, path) if path is not None and path.is_file() else None
    if spec is None or spec.loader is None:
        return None
    settings = sys.modules[_SETTINGS] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(settings)
    except BaseException:
        del sys.modules[_SETTINGS]
        raise
    return settings


@contextmanager
def making_symbols() -> Iterator[None]:
    """While a ShapeEnv is made."""
    # torch's structured log is open until its first entry, from which it learns that nobody reads it; that of a symbol
    # would be a traceback, for which torch imports torch._inductor
    trace_structured("helion", suppress_context=True, expect_trace_id=False)
    if _VALIDATOR in sys.modules or symbol_settings.translation_validation:
        yield
        return
    with _lock:
        stand_in = sys.modules.setdefault(_VALIDATOR, _StandIn(_VALIDATOR, translation_validation_enabled=bool))
        try:
            yield
        finally:
            if sys.modules.get(_VALIDATOR) is stand_in and isinstance(stand_in, _StandIn):
                del sys.modules[_VALIDATOR]
