"""The user's host code, run with launches that only look: shapes come out, nothing is computed.

Works on fake, meta and symbolic tensors. The sizes are those of the real code, because it is the real code.
"""

from __future__ import annotations

import ast
import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch.utils._pytree import tree_leaves, tree_map

from .. import exc
from ..config import Config, as_config
from . import versions

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

    from ..emit.module import Generated
    from ..runtime.abstract import AbstractKernel
    from ..runtime.specialization import Specialization


@dataclass
class DryRun:
    """What one run returned, and the tensors that its launch would have stored to."""

    result: Any = None
    written: list[torch.Tensor] = field(default_factory=list)


def dry_run(kernel: AbstractKernel, args: Sequence[Any]) -> DryRun:
    """Runs the host code of `kernel` on `args`, tensors without data, under whatever modes are active.

    Raises what a first call raises, and `NotInGraph` where a shape depends on a config not yet chosen.
    """
    with versions.nothing_active():
        kernel.device_of(args)  # raises where they are on several
        stand_ins = concrete(args, versions.fakes())
        bound = kernel.bind(stand_ins)
        config, chosen = _config(bound, stand_ins)
    with versions.beside_real_tensors(tree_leaves(args)), torch.no_grad(), torch._C._DisableAutocast():
        run = _run(bound, config, args)
        if not chosen and _host_reads_blocks(bound):
            for other in _other_blocks(bound, config):
                _check_same(kernel, run.result, _run(bound, other, args).result)
    return run


def concrete(args: Sequence[Any], mode: FakeTensorMode) -> list[Any]:
    """Stand-ins for `args` with plain sizes and numbers: one of the calls that `args` stand for."""

    def stand_in(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return versions.hint(value)
        absent = value.is_cuda and not torch.cuda.is_available()
        device = torch.device("cpu") if absent else value.device
        with mode:
            return torch.empty_strided(
                [versions.hint(n) for n in value.size()], [versions.hint(n) for n in value.stride()],
                dtype=value.dtype, device=device,
            )  # fmt: skip

    return [tree_map(stand_in, a) for a in args]


def _config(bound: Specialization, args: Sequence[Any]) -> tuple[Config, bool]:
    """A config, and whether calls will surely use it. None is tuned or compiled for: this is no time for either."""
    kernel = bound.kernel
    if bound.config is not None:
        return bound.config, True
    if kernel.chooser is not None:
        answer = kernel.chooser(bound, args)
        if answer is not None:
            return as_config(answer), True
    elif len(kernel.configs) == 1 and not kernel.settings.force_autotune:
        return as_config(kernel.configs[0]), True
    return bound.config_spec.default(), False


_hosts: WeakKeyDictionary[Specialization, dict[Config, Callable[..., Any]]] = WeakKeyDictionary()


def _run(bound: Specialization, config: Config, args: Sequence[Any]) -> DryRun:
    from ..emit.wrapper import LAUNCH

    known = _hosts.setdefault(bound, {})
    if config not in known:
        known[config] = _host(bound.generate(config))
    host, run = known[config], DryRun()
    writes = sorted(_writes(bound))
    keywords = dict(host.__kwdefaults__ or {})
    keywords[LAUNCH] = lambda *tensors: run.written.extend(tensors[k] for k in writes)
    run.result = host(*args, **keywords)
    return run


def _host(generated: Generated) -> Callable[..., Any]:
    """The host function; its launch gets the tensors alone, since grid and numbers may need values nobody has."""
    from ..emit.wrapper import KERNEL, LAUNCH, TORCH, UNITS, launch_call
    from ..frontend.build import compile_like

    node = copy.deepcopy(generated.host)
    call = launch_call(node)
    call.args, call.keywords = call.args[2 : 2 + len(generated.program.tensors)], []
    node.args.kw_defaults = [ast.Constant(None) for _ in node.args.kwonlyargs]
    host = compile_like(ast.fix_missing_locations(node), generated.source, {})
    known = {KERNEL: None, LAUNCH: None, TORCH: torch, UNITS: None}
    host.__kwdefaults__ = {a.arg: known[a.arg] for a in node.args.kwonlyargs}
    return host


def _writes(bound: Specialization) -> frozenset[int]:
    from ..lower.effects import effects

    return effects(bound.program).writes


# --- shapes that depend on the config


def _host_reads_blocks(bound: Specialization) -> bool:
    return any(isinstance(n, int) for numbers in bound.traced.replacements.values() for n in numbers)


def _other_blocks(bound: Specialization, config: Config) -> Iterator[Config]:
    """`config` with one block size changed, for each of them that may change."""
    sizes = config["block_sizes"]
    for k, n in enumerate(sizes):
        for other in (n // 2, 2 * n):
            with contextlib.suppress(exc.InvalidConfig):
                yield bound.config_spec.normalize(config.replace(block_sizes=[*sizes[:k], other, *sizes[k + 1 :]]))
                break


def _check_same(kernel: AbstractKernel, one: Any, other: Any) -> None:
    shapes = [[tuple(t.shape) for t in tree_leaves(r) if isinstance(t, torch.Tensor)] for r in (one, other)]
    if shapes[0] != shapes[1]:
        raise exc.NotInGraph(
            name=kernel.name, problem="its outputs have other shapes under other configs, and none is chosen yet",
            instead="fix one with config=..., or call the kernel once before it is compiled into a graph",
        )  # fmt: skip
