"""A kernel as its author wrote it: the function, its parameters, its settings."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import torch

from .. import exc
from ..config import Config
from ..frontend.source import FunctionSource, function_source, parameter_place
from ..settings import Settings

_POSITIONAL = "declare positional parameters; callers may still pass them by keyword"


class Definition:
    """A function with the settings and configs it was decorated with. `chooser(bound, args)` may give further configs.

    Raises `SourceUnavailable`, `InvalidKernelSignature`.
    """

    def __init__(
        self, fn: Callable[..., Any], configs: Sequence[Config], settings: Settings,
        chooser: Callable[..., Config | Mapping[str, Any] | None] | None = None,
    ) -> None:  # fmt: skip
        function = inspect.unwrap(fn)
        if not isinstance(function, FunctionType):
            raise exc.SourceUnavailable(name=repr(fn), reason="it is not a Python function")
        self.fn, self.name = function, function.__name__
        self.configs, self.settings, self.chooser = list(configs), settings, chooser
        self._signature = inspect.signature(function)
        self._check_signature()
        self._constants = self._constant_parameters()

    def _check_signature(self) -> None:
        kinds: dict[Any, str] = {
            inspect.Parameter.VAR_POSITIONAL: "*args", inspect.Parameter.VAR_KEYWORD: "**kwargs",
            inspect.Parameter.KEYWORD_ONLY: "keyword-only",
        }  # fmt: skip
        for name, parameter in self._signature.parameters.items():
            kind, instead = kinds.get(parameter.kind), _POSITIONAL
            if kind is None and name.startswith("_") and name in _reserved():
                kind, instead = "reserved", "give it another name: generated code uses this one"
            if kind is not None:
                raise exc.InvalidKernelSignature(
                    name=self.name, parameter=name, kind=kind, instead=instead,
                    location=parameter_place(self.fn, name),
                )  # fmt: skip

    def _constant_parameters(self) -> set[str]:
        """Parameters annotated `hl.constexpr` or `Annotated[..., hl.constexpr]`, also where annotations are strings."""
        from ..language.constants import constexpr

        found = set()
        for parameter in self._signature.parameters.values():
            annotation = parameter.annotation
            marks = [annotation, *getattr(annotation, "__metadata__", ())]
            if any(mark is constexpr for mark in marks) or (isinstance(annotation, str) and "constexpr" in annotation):
                found.add(parameter.name)
        return found

    @functools.cached_property
    def source(self) -> FunctionSource:
        """The definition of the function. Raises `SourceUnavailable`."""
        return function_source(self.fn)

    @functools.cached_property
    def rewritten(self) -> FunctionType:
        """The function with device-aware control flow. Raises `UnsupportedSyntax`."""
        from ..frontend.rewrite import rewrite

        return rewrite(self.fn)

    def normalize_args(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Positional arguments with keywords placed and defaults filled in. Raises `WrongArguments`."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise exc.WrongArguments(
                name=self.name, problem=str(error), instead=f"call it as {self.name}{self._signature}"
            ) from None
        bound.apply_defaults()
        return bound.args

    def device_of(self, args: Sequence[Any]) -> torch.device:
        """Where a call with `args` runs. Raises `NoTensorArgs`, `DeviceMismatch`."""
        tensors = [t for a in args for t in tensors_of(a)]
        devices = {t.device for t in tensors} | {a for a in args if isinstance(a, torch.device)}
        if not devices:
            raise exc.NoTensorArgs(name=self.name)
        on_gpu = {d for d in devices if d.type != "cpu"}
        if len(on_gpu) > 1 or (on_gpu and any(t.device.type == "cpu" and t.dim() for t in tensors)):
            raise exc.DeviceMismatch(name=self.name, devices=", ".join(sorted(map(str, devices))))
        return next(iter(on_gpu or devices))

    def warn_of_gradients(self, args: Sequence[Any]) -> None:
        """Warns of arguments that require a gradient, which they will not get."""
        for name, arg in zip(self._signature.parameters, args, strict=True):
            if torch.is_grad_enabled() and any(t.requires_grad for t in tensors_of(arg)):
                exc.warn(exc.GradientNotTracked(name=name, kernel=self.name), self.settings.ignore_warnings)


def _reserved() -> tuple[str, ...]:
    """Names of parameters that generated host functions have besides those of the kernel."""
    from ..emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS

    return KERNEL, LAUNCH, TORCH, UNITS


def tensors_of(value: Any) -> list[torch.Tensor]:
    """The tensors in an argument, inside lists, tuples, dicts and dataclasses too."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_of(v)]
    if isinstance(value, Mapping):
        return [t for v in value.values() for t in tensors_of(v)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [t for v in vars(value).values() for t in tensors_of(v)]
    return []
