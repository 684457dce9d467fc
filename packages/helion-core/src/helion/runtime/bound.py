"""`BoundKernel`: a kernel for one specialisation of its arguments, holding its program and compiled configs."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..config import Config, as_config
from ..exc import CompilationFailed, InvalidConfig
from ..integration.capture import refuse_in_capture
from ..internal import internal_errors
from .binaries.compile import CompileFacts, compile_error, compile_kernel, facts
from .launching import launch
from .launching.signature import signature
from .locks import Lock
from .table import Table, size_bucket
from .targets import Target, device_target, parse_target

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..ir import Program
    from ..lower.spec import ConfigSpec
    from ..trace.trace import Traced
    from .kernel import Kernel

log = logging.getLogger(__name__)

_MUCH_SPILLED = 256  # bytes per thread


@dataclass(frozen=True)
class CompiledConfig:
    """A config ready to be called with the kernel's arguments."""

    config: Config
    generated: Generated
    run: Callable[..., Any]


class BoundKernel:
    """A kernel specialised to the dtypes, sizes and strides of its arguments (or less, with `static_shapes=False`)."""

    def __init__(self, kernel: Kernel, traced: Traced, device: torch.device) -> None:
        self.kernel, self.device = kernel, device
        self._traced = traced
        self._compiled: dict[Config, CompiledConfig] = {}
        self._generated: dict[Config, Generated] = {}
        self._chosen: Callable[..., Any] | None = None
        self._chosen_config: Config | None = None
        self._specs: dict[str, ConfigSpec] = {}
        self.retrace: Callable[[Mapping[str, Any]], Traced] | None = None  # where the kernel has tunables
        self._variants: dict[tuple[Any, ...], Traced] = {}
        self._defaults: dict[str, Config] = {}
        self._lock, self._choice = Lock(), Lock()
        self._table: Table | None = None
        self.holds = traced.holds  # whether a call with these arguments is one of this specialisation

    @property
    def conditional(self) -> bool:
        """Whether the trace holds only for some of the calls with its key."""
        return bool(self._traced.guards or self._traced.facts) or self._table is not None

    @property
    def asked_numbers(self) -> frozenset[str]:
        """Parameters whose numbers decide what a call runs, besides types and sizes; others may be among them."""
        if self._table is not None and self._table.asks_numbers:
            return frozenset(self._traced.parameters)
        return self._guarded_numbers

    @functools.cached_property
    def _guarded_numbers(self) -> frozenset[str]:
        names, parameters = {s.symbol: s.source for s in self._traced.scalars}, set(self._traced.parameters)
        sizes = {s.symbol for s in self._traced.scalars if s.is_size}
        asked = {names.get(symbol, "") for guard in self._traced.guards for symbol in guard.free_symbols - sizes}
        return frozenset(asked if asked <= parameters else parameters)

    @property
    def chosen(self) -> Callable[..., Any] | None:
        """What calls run, once a config is chosen."""
        return self._chosen

    @property
    def program(self) -> Program:
        """What was traced; prints readably."""
        return self._traced.program

    @property
    def arguments(self) -> tuple[dict[str, Any], ...]:
        """What it is specialised on, argument by argument, as plain data."""
        return self._traced.arguments

    @property
    def config_spec(self) -> ConfigSpec:
        """The search space; prints readably."""
        return self.spec_for(self.target)

    def spec_for(self, target: Target | None) -> ConfigSpec:
        """The search space on `target` (None: the interpreter)."""
        from ..lower.spec import config_spec

        name = target.name if target is not None else ""
        if name not in self._specs:
            self._specs[name] = config_spec(self.program, target)
        return self._specs[name]

    @property
    def target(self) -> Target | None:
        """The architecture of the arguments' device; None on the CPU."""
        return device_target(self.device)

    def default_config(self, target: Target | None = None) -> Config:
        """The config used when nobody tunes, made smaller until it compiles for `target`.

        `target`: by default that of the arguments.
        """
        target = target or self.target
        name = target.name if target is not None else ""
        if name not in self._defaults:
            self._defaults[name] = self._compiling_default(target)
        return self._defaults[name]

    def _compiling_default(self, target: Target | None) -> Config:
        spec = self.spec_for(target)
        config: Config | None = spec.default()
        while config is not None and target is not None:
            spilled = self._spills(config, target)
            if spilled is not None:
                return self._shallow(config, target, spilled) if spilled > _MUCH_SPILLED else config
            config = spec.smaller(config)
        return config or spec.default()

    def _shallow(self, config: Config, target: Target, spilled: int) -> Config:
        """`config` without pipelining, whose buffers take registers for addresses, if that spills far less."""
        shallow = config.replace(num_stages=1)
        found = self._spills(shallow, target)
        return shallow if found is not None and 2 * found < spilled else config

    def _spills(self, config: Config, target: Target) -> int | None:
        """Bytes per thread that `config` spills on `target`; None if it does not compile or asks for too much shared
        memory. Triton keeps what it compiled.
        """
        from ..lower.structure import device_loops

        try:
            compiled = self._compile(self.generate(config, target), target)
        except CompilationFailed:
            return None
        if int(compiled.metadata.shared) > target.shared_memory:
            return None
        return facts(compiled, target).spills if device_loops(self.program) else 0  # no loop: nothing is pipelined

    @property
    def config(self) -> Config | None:
        """The config that calls use, once one is chosen."""
        return self._chosen_config

    # --- code

    def generate(self, config: Any = None, target: Target | None = None) -> Generated:
        """The generated module for `config` (default: the chosen one, else the default). Raises `InvalidConfig`.

        `target` says which configs are legal and what the default is: that of the arguments, unless given.
        """
        from ..emit.module import generate

        chosen = config if config is not None or target is not None else self._chosen_config
        if chosen is None:
            normal = self.default_config(target)
        else:
            normal = self.spec_for(target or self.target).normalize(as_config(chosen))
        found = self._generated.get(normal)
        if found is None:
            reserved = self.kernel.settings.persistent_reserved_sms
            traced = self.traced_for(normal)
            with internal_errors(f"generating code for {normal}"):
                found = generate(self.kernel.source, traced.program, normal, traced.replacements, reserved)
            self._generated[normal] = found
        return found

    def traced_for(self, config: Config) -> Traced:
        """The trace for the tunables of `config`. Raises `InvalidConfig` where they change which choices there are."""
        names = tuple(self.program.tunables)
        values = tuple(config[name] for name in names)
        if self.retrace is None or values == tuple(f.default for f in self.program.tunables.values()):
            return self._traced
        if values not in self._variants:
            traced = self.retrace(dict(zip(names, values, strict=True)))
            if _outline(traced.program) != _outline(self.program):
                raise InvalidConfig(
                    key=", ".join(names),
                    problem=f"{values!r} gives a kernel with other loops or accesses than the default",
                    allowed="tunables may change values and sizes, not the structure of the kernel",
                )
            self._variants[values] = traced
        return self._variants[values]

    def to_triton_code(self, config: Any = None) -> str:
        """The text of a module that runs with torch and triton alone; its function has the kernel's name."""
        return self.generate(config).module_text()

    def compile_config(self, config: Any) -> CompiledConfig:
        """Makes `config` callable; the GPU code itself is compiled on the first launch. Raises `InvalidConfig`."""
        generated = self.generate(config)
        found = self._compiled.get(generated.config)
        if found is None:
            if self.kernel.settings.print_output_code:
                print(generated.module_text(), file=sys.stderr)
            run = self._callable(generated)
            found = self._compiled[generated.config] = CompiledConfig(generated.config, generated, run)
        return found

    def _callable(self, generated: Generated) -> Callable[..., Any]:
        """What a call runs: the host function with its launch, or the kernel as plain PyTorch."""
        if not self.kernel.settings.interpret:
            return launch.host_callable(generated, self.device)
        from ..interpret.run import eager_callable

        return eager_callable(self.kernel.rewritten, generated.config, self._traced.places, self.device)

    def export(self, path: str | Path, targets: Sequence[str] = (), config: Any = None) -> Path:
        """Writes a folder that runs this kernel with Python and torch alone; see `helion.export`."""
        from ..export import export

        return export(self, path, targets, config)

    def compile_for(self, target: Target | str, config: Any = None) -> CompileFacts:
        """Compiles for `target`, such as "sm_90", without needing that GPU. Raises `CompilationFailed`."""
        if isinstance(target, str):
            target = parse_target(target)
        return facts(self._compile(self.generate(config, target), target), target)

    def _compile(self, generated: Generated, target: Target) -> Any:
        types = signature(generated)
        try:
            return compile_kernel(generated.kernel_source, generated.kernel_name, types, target, generated.options)
        except Exception as error:
            raise compile_error(error, self.kernel.name, target.name, generated.config) from error

    # --- choosing a config

    def set_config(self, config: Any) -> None:
        """Calls use `config` from now on."""
        compiled = self.compile_config(config)
        log.info("%s: uses %r", self.kernel.name, compiled.config)
        self._use(compiled, None)

    def set_configs(
        self, configs: Mapping[Hashable, Any], bucket: Callable[[Sequence[Any]], Hashable] = size_bucket
    ) -> None:
        """Calls use one of `configs` from now on: that of the bucket that `bucket(args)` gives, or of the nearest.

        By default a bucket is the sizes of all tensors in order, each as the exponent of the power of two at or above
        it; `Kernel.autotune_shapes` makes such a table. Raises `InvalidConfig`.
        """
        if not configs:
            raise InvalidConfig(key="configs", problem="is empty", allowed="a config for each of some buckets")
        runs = {name: self.compile_config(config).run for name, config in configs.items()}
        self._use(None, Table(runs, bucket))

    def _use(self, compiled: CompiledConfig | None, table: Table | None) -> None:
        """Has calls run something else from now on. Before the first choice there is nothing of it to forget."""
        with self._choice:
            is_first = self._chosen is None and self._table is None
            if compiled is not None:
                self._chosen, self._chosen_config = compiled.run, compiled.config
            self._table = table
        if not is_first:
            self.kernel.forget_runs()

    def autotune(self, args: Sequence[Any], force: bool = False) -> Config:
        """Chooses the fastest config for `args` and uses it from now on."""
        from ..tuning.choose import choose

        config = choose(self, args, force=force)
        self.set_config(config)
        return config

    def run_for(self, args: Sequence[Any]) -> Callable[..., Any]:
        """What a call with `args` runs. The first one chooses a config: the given one, the default, the fastest of
        those given, that of the cache, or what tuning finds.
        """
        if self._table is not None:
            return self._table.get(args)
        if self._chosen is None:
            with self._lock:
                if self._chosen is None:
                    refuse_in_capture(self.kernel.name, "chooses a config")
                    try:
                        self.autotune(args)
                    finally:
                        self._print_repro(args)
        assert self._chosen is not None
        return self._chosen

    def _print_repro(self, args: Sequence[Any]) -> None:
        if self.kernel.settings.print_repro:
            from .repro import print_repro

            print_repro(self, args)

    def __call__(self, *args: Any) -> Any:
        return self.run_for(args)(*args)


def _outline(program: Program) -> tuple[Any, ...]:
    """What the lists of a config count."""
    from ..lower.access import access_key, accesses
    from ..lower.rolling import rollable
    from ..lower.structure import constant_loops, device_loops, dims_of, multi_dim_loops

    counted = (program.blocks, device_loops(program), constant_loops(program), rollable(program))
    return (*map(len, counted), list(map(dims_of, multi_dim_loops(program))), list(map(access_key, accesses(program))))
