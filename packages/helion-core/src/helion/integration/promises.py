"""What a schema promises of an operator: which arguments it changes, and that its outputs share no memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .. import exc
from ..location import Location
from . import versions


@dataclass(frozen=True)
class Promises:
    """Of operator `name`, `defined` at a place. `parameters`: their names; `written`: those that change."""

    name: str
    parameters: tuple[str, ...]
    written: tuple[str, ...]
    defined: Location

    @classmethod
    def of(cls, overload: Any, defined: Location) -> Promises:
        arguments = overload._schema.arguments
        written = tuple(a.name for a in arguments if versions.is_written(a))
        return cls(overload._schema.name, tuple(a.name for a in arguments), written, defined)

    def watch(self, args: Sequence[Any]) -> Watch:
        """Notes the state of `args` before a call with them."""
        tensors = [
            (name, t)
            for name, a in zip(self.parameters, args, strict=False)
            for t in tree_leaves(a)
            if isinstance(t, torch.Tensor) and not t.is_inference()
        ]
        return Watch(self, tensors, [t._version for _, t in tensors])


@dataclass(frozen=True)
class Watch:
    """The tensors among the arguments of one call, by parameter, and how often each had been changed before it."""

    promises: Promises
    tensors: list[tuple[str, torch.Tensor]]
    before: list[int]

    def check(self, result: Any, stored: Iterable[torch.Tensor] = ()) -> None:
        """Raises `SchemaMismatch` unless the call did as promised. `stored`: tensors that kernels stored to."""
        memory = set(map(versions.storage_of, stored))
        for (name, tensor), version in zip(self.tensors, self.before, strict=True):
            changed = tensor._version != version or versions.storage_of(tensor) in memory
            if changed and name not in self.promises.written:
                names = ", ".join(map(repr, (*self.promises.written, name)))
                self._refuse(f"it changes `{name}`", f"tell as_op: mutates=[{names}]")
        owners = {versions.storage_of(t): f"argument `{name}`" for name, t in self.tensors}
        for output in tree_leaves(result):
            if isinstance(output, torch.Tensor):
                owner = owners.setdefault(versions.storage_of(output), "")
                if owner:
                    self._refuse(
                        f"an output shares the memory of {owner}",
                        "return a copy (.clone()), or nothing where an argument is changed in place",
                    )
                owners[versions.storage_of(output)] = "another output"

    def _refuse(self, problem: str, instead: str) -> None:
        raise exc.SchemaMismatch(
            name=self.promises.name, problem=problem, instead=instead, location=self.promises.defined
        )
