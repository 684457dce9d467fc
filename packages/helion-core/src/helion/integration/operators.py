"""Operators of torch.library, made of a function on the arguments as they come and one on tensors without data."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import TreeSpec, tree_leaves, tree_unflatten

from .. import exc
from . import versions
from .dry import dry_run
from .outcome import Outcome

if TYPE_CHECKING:
    from ..runtime.abstract import AbstractKernel

NAMESPACE = "helion"


def define(
    name: str, schema: str, run: Callable[..., Any], fake: Callable[..., Any], *, random: bool = False
) -> tuple[torch.library.Library, Any]:
    """Registers `name` ("library::operator") with `schema` ("(Tensor x) -> Tensor"), for every device.

    `run` does the work, `fake` gives outputs without data. `random`: results differ from call to call.
    Returns what keeps it registered, and the operator overload.
    """
    namespace, _, short = name.partition("::")
    library = torch.library.Library(namespace, "FRAGMENT")
    tags = [torch.Tag.pt2_compliant_tag] + ([torch.Tag.nondeterministic_seeded] if random else [])
    library.define(short + schema, tags=tags)
    overload = getattr(getattr(torch.ops, namespace), short).default
    library.impl(short, run, "CompositeExplicitAutograd")
    torch.library.register_fake(name, fake, lib=library)
    written = [k for k, a in enumerate(overload._schema.arguments) if versions.is_written(a)]
    if written:
        library.impl(short, functools.partial(_counted, overload, written), "ADInplaceOrView", with_keyset=True)
    return library, overload


def loop_over_batches(library: torch.library.Library, overload: Any) -> None:
    """Has torch.vmap call the operator once for each element of the batch, and stack what comes out."""

    def rule(info: Any, in_dims: Sequence[Any], *args: Any) -> tuple[Any, Any]:
        calls = [
            overload(*(_element(a, d, k) for a, d in zip(args, in_dims, strict=True))) for k in range(info.batch_size)
        ]
        if isinstance(calls[0], torch.Tensor):
            return torch.stack(calls), 0
        return tuple(torch.stack(parts) for parts in zip(*calls, strict=True)), (0,) * len(calls[0])

    torch.library.register_vmap(overload._schema.name, rule, lib=library)


def _element(argument: Any, dim: Any, k: int) -> Any:
    if isinstance(dim, (list, tuple)):
        return [_element(a, d, k) for a, d in zip(argument, dim, strict=True)]
    return argument if dim is None else argument.select(dim, k)


def without_gradient(library: torch.library.Library, overload: Any) -> None:
    """Has autograd look away: the outputs of the operator require no gradient."""

    def run(*args: Any) -> Any:
        with versions.without_autograd():
            return overload(*args)

    library.impl(overload._schema.name.partition("::")[2], run, "Autograd")


def _counted(overload: Any, written: Sequence[int], keyset: Any, *args: Any) -> Any:
    """Tells autograd of the arguments that change, so that a backward pass that saved one of them refuses to run."""
    for k in written:
        for tensor in tree_leaves(args[k]):
            if isinstance(tensor, torch.Tensor):
                torch.autograd.graph.increment_version(tensor)
    return overload.redispatch(keyset & versions.after_version_counting, *args)


# --- operators of kernels that were given no name


@dataclass(frozen=True)
class Form:
    """What tells apart the operators of one kernel. `kinds`: schema type by leaf, or "" where `fixed` holds it."""

    spec: TreeSpec
    kinds: tuple[str, ...]
    fixed: tuple[Any, ...]
    written: tuple[int, ...]
    new: tuple[int, ...]

    def schema(self) -> str:
        parts = []
        for k, kind in enumerate(self.kinds):
            if kind:
                parts.append(f"{f'Tensor(a{k}!)' if k in self.written else kind} a{k}")
        results = ", ".join(["Tensor"] * len(self.new))
        return f"({', '.join(parts)}) -> {results if len(self.new) == 1 else f'({results})'}"

    def taken(self, leaves: Sequence[Any]) -> list[Any]:
        """Those leaves that the operator takes."""
        return [leaf for leaf, kind in zip(leaves, self.kinds, strict=True) if kind]

    def args(self, taken: Sequence[Any]) -> list[Any]:
        """The arguments of the kernel, from those of the operator."""
        rest = iter(taken)
        leaves = [next(rest) if kind else value for kind, value in zip(self.kinds, self.fixed, strict=True)]
        return tree_unflatten(leaves, self.spec)

    def returned(self, name: str, result: Any) -> Any:
        """What the operator returns of the kernel's result."""
        leaves = tree_leaves(result)
        if self.new and len(leaves) <= self.new[-1]:
            raise exc.SchemaMismatch(
                name=name, problem=f"a call returned {len(leaves)} values, fewer than its trace",
                instead="have the kernel return equally many values for equal kinds of arguments",
            )  # fmt: skip
        new = [leaves[k] for k in self.new]
        return None if not new else new[0] if len(new) == 1 else tuple(new)


def refuse_opaque(kernel: AbstractKernel, leaves: Sequence[Any]) -> None:
    """Raises `NotInGraph` for objects that may hold tensors, of which no schema would tell."""
    for leaf in leaves:
        if not (_kind(leaf) or isinstance(leaf, _PLAIN) or callable(leaf)):
            raise exc.NotInGraph(
                name=kernel.name, problem=f"a {type(leaf).__name__} among its arguments cannot stand in a graph",
                instead="pass its tensors and numbers, alone or in lists, tuples and dicts",
            )  # fmt: skip


def form(leaves: Sequence[Any], spec: TreeSpec, found: Outcome) -> Form:
    kinds = tuple(map(_kind, leaves))
    fixed = tuple(None if kind else leaf for kind, leaf in zip(kinds, leaves, strict=True))
    return Form(spec, kinds, fixed, found.written, found.new)


_PLAIN = (type(None), bool, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


def _kind(leaf: Any) -> str:
    if isinstance(leaf, torch.Tensor):
        return "Tensor"
    if isinstance(leaf, bool):
        return ""
    if isinstance(leaf, (int, torch.SymInt)):
        return "SymInt"
    return "float" if isinstance(leaf, (float, torch.SymFloat)) else ""


_lock = threading.RLock()
_known: dict[tuple[AbstractKernel, Form], Any] = {}
_libraries: list[torch.library.Library] = []  # operators live as long as these


def operator_of(kernel: AbstractKernel, wanted: Form) -> Any:
    """The operator that does what calls of this form do; made when it is first asked for."""
    with _lock:
        found = _known.get((kernel, wanted))
        if found is None:
            found = _known[kernel, wanted] = _made(kernel, wanted)
        return found


def _made(kernel: AbstractKernel, wanted: Form) -> Any:
    name = _name(kernel, wanted)

    def run(*taken: Any) -> Any:
        return wanted.returned(name, kernel(*wanted.args(taken)))

    def fake(*taken: Any) -> Any:
        return wanted.returned(name, dry_run(kernel, wanted.args(taken)).result)

    library, overload = define(name, wanted.schema(), run, fake, random=draws(kernel))
    without_gradient(library, overload)
    if wanted.new and not wanted.written:
        loop_over_batches(library, overload)
    _libraries.append(library)
    return overload


def _name(kernel: AbstractKernel, wanted: Form) -> str:
    """A name that says what runs: torch keeps compiled graphs on disk, which find operators by name."""
    fixed = [value if isinstance(value, _PLAIN) else getattr(value, "__qualname__", "") for value in wanted.fixed]
    form = (str(wanted.spec), repr(fixed), repr(wanted.new), wanted.schema())
    text = (kernel.fn.__module__, kernel.fn.__qualname__, kernel.source.text, *form)
    digest = hashlib.sha256("\0".join(text).encode()).hexdigest()[:10]
    name = base = f"{NAMESPACE}::{kernel.name}_{digest}"
    taken = {overload._schema.name for overload in _known.values()}
    for k in range(2, len(taken) + 3):
        if name not in taken:
            break
        name = f"{base}_{k}"
    return name


def draws(kernel: AbstractKernel) -> bool:
    """Whether the kernel uses torch's random numbers."""
    return any("_torch.randint(" in scalar.source for program in kernel.programs for scalar in program.scalars)
