"""What a call does, as far as a schema can say it: which arguments it writes, which outputs are new.

An operator returns new tensors only. Outputs that are arguments, views of them, views of each other, or no tensors at
all, are put together again around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from .. import exc
from . import versions
from .dry import DryRun, dry_run

if TYPE_CHECKING:
    from ..runtime.abstract import AbstractKernel


@dataclass(frozen=True)
class New:
    """An output that the operator returns, as its result number `number`."""

    number: int


@dataclass(frozen=True)
class Argument:
    """An output that is the argument `leaf`."""

    leaf: int


@dataclass(frozen=True)
class View:
    """An output that shares the memory of `base`."""

    base: New | Argument
    sizes: tuple[Any, ...]
    strides: tuple[Any, ...]
    offset: Any


@dataclass(frozen=True)
class Constant:
    """An output that is no tensor."""

    value: Any


Output = New | Argument | View | Constant


@dataclass(frozen=True)
class Outcome:
    """`written`: numbers of the arguments' leaves; `new`: of those leaves of the result that an operator returns."""

    written: tuple[int, ...]
    new: tuple[int, ...]
    outputs: tuple[Output, ...]
    spec: TreeSpec

    def result(self, leaves: Sequence[Any], new: Sequence[torch.Tensor]) -> Any:
        """What the call returns, from the leaves of its arguments and what the operator returned."""

        def tensor(output: New | Argument) -> torch.Tensor:
            return new[output.number] if isinstance(output, New) else leaves[output.leaf]

        def value(output: Output) -> Any:
            if isinstance(output, Constant):
                return output.value
            if isinstance(output, View):
                return tensor(output.base).as_strided(output.sizes, output.strides, output.offset)
            return tensor(output)

        return tree_unflatten([value(output) for output in self.outputs], self.spec)


def outcome(kernel: AbstractKernel, leaves: Sequence[Any], spec: TreeSpec) -> Outcome:
    """What a call of `kernel` with these leaves of arguments does, found by a dry run on stand-ins.

    Raises what `dry_run` raises, and `NotInGraph` where the kernel writes a tensor that is no argument.
    """
    with versions.nothing_active():
        env = next((versions.shape_env_of(n) for n in _numbers(leaves) if not isinstance(n, (int, float))), None)
        mode = versions.fakes(env)
        seen: dict[int, torch.Tensor] = {}
        with mode:
            stand_ins = [_stand_in(leaf, seen) for leaf in leaves]
            before = [_version(leaf) for leaf in stand_ins]
            run = dry_run(kernel, tree_unflatten(stand_ins, spec))
        outputs, result_spec = tree_flatten(run.result)
        written = _written(kernel, stand_ins, before, run)
        described = _described(stand_ins, outputs)
    new = tuple(k for k, output in enumerate(described) if isinstance(output, New))
    return Outcome(written, new, tuple(described), result_spec)


def _numbers(leaves: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for leaf in leaves:
        found += [*leaf.size(), *leaf.stride()] if isinstance(leaf, torch.Tensor) else [leaf]
    return [n for n in found if isinstance(n, (int, float, torch.SymInt, torch.SymFloat))]


def _stand_in(leaf: Any, seen: dict[int, torch.Tensor]) -> Any:
    """A tensor without data like `leaf`; the same one for the same tensor."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if id(leaf) not in seen:
        seen[id(leaf)] = torch.empty_strided(leaf.size(), leaf.stride(), dtype=leaf.dtype, device=leaf.device)
    return seen[id(leaf)]


def _version(leaf: Any) -> int | None:
    return leaf._version if isinstance(leaf, torch.Tensor) else None


def _written(kernel: AbstractKernel, args: Sequence[Any], before: Sequence[Any], run: DryRun) -> tuple[int, ...]:
    """Arguments that the launch stores to, or that the host code changes in place."""
    if any(not versions.is_fake(t) for t in run.written):
        raise exc.NotInGraph(
            name=kernel.name, problem="it stores to a tensor that is not one of its arguments",
            instead="pass that tensor as an argument",
        )  # fmt: skip
    memory = {versions.storage_of(t) for t in run.written}
    return tuple(
        k
        for k, (leaf, version) in enumerate(zip(args, before, strict=True))
        if isinstance(leaf, torch.Tensor) and (versions.storage_of(leaf) in memory or leaf._version != version)
    )


def _described(args: Sequence[Any], outputs: Sequence[Any]) -> list[Output]:
    bases: dict[int, tuple[torch.Tensor, New | Argument]] = {}
    for k, leaf in enumerate(args):
        if isinstance(leaf, torch.Tensor):
            bases.setdefault(versions.storage_of(leaf), (leaf, Argument(k)))
    described: list[Output] = []
    count = 0
    for output in outputs:
        if not isinstance(output, torch.Tensor):
            described.append(Constant(output))
            continue
        memory = versions.storage_of(output)
        if memory not in bases:
            bases[memory] = output, New(count)
            count += 1
        tensor, base = bases[memory]
        if output is tensor:
            described.append(base)
        else:
            described.append(View(base, tuple(output.size()), tuple(output.stride()), output.storage_offset()))
    return described
