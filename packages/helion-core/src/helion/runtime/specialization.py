"""`Specialization`: a kernel for some kind of arguments: its program, search space, and the code of every config."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..config import Config, as_config
from ..exc import CompilationFailed, InvalidConfig
from ..internal import internal_errors
from .binaries.compile import CompileFacts, compile_error, compile_kernel, facts
from .launching import launch, modules
from .launching.signature import signature
from .targets import Target, device_target, parse_target

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..ir import Program
    from ..lower.spec import ConfigSpec
    from ..trace.trace import Traced
    from .definition import Definition

_MUCH_SPILLED = 256  # bytes per thread


@dataclass(frozen=True)
class CompiledConfig:
    """A config ready to be called with the kernel's arguments."""

    config: Config
    generated: Generated
    run: Callable[..., Any]


class Specialization(ABC):
    """A kernel specialised to the dtypes, sizes and strides of its arguments (or less, with `static_shapes=False`).

    Which config calls use is chosen by what derives from it.
    """

    def __init__(self, traced: Traced, device: torch.device) -> None:
        self.traced, self.device = traced, device
        self._compiled: dict[Config, CompiledConfig] = {}
        self._generated: dict[Config, Generated] = {}
        self._chosen_config: Config | None = None
        self._specs: dict[str, ConfigSpec] = {}
        self.retrace: Callable[[Mapping[str, Any]], Traced] | None = None  # where the kernel has tunables
        self._variants: dict[tuple[Any, ...], Traced] = {}
        self._defaults: dict[str, Config] = {}

    @property
    @abstractmethod
    def kernel(self) -> Definition:
        """The kernel that is specialised."""

    @property
    def program(self) -> Program:
        """What was traced; prints readably."""
        return self.traced.program

    @property
    def arguments(self) -> tuple[dict[str, Any], ...]:
        """What it is specialised on, argument by argument, as plain data."""
        return self.traced.arguments

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

    @abstractmethod
    def set_config(self, config: Any) -> None:
        """Calls use `config` from now on."""

    @abstractmethod
    def set_configs(self, configs: Mapping[Hashable, Any], bucket: Callable[[Sequence[Any]], Hashable]) -> None:
        """Calls use one of `configs` from now on: that of the bucket that `bucket(args)` gives, or of the nearest."""

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
            return self.traced
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

        return eager_callable(self.kernel.rewritten, generated.config, self.traced.places, self.device)

    def compile_for(self, target: Target | str, config: Any = None) -> CompileFacts:
        """Compiles for `target`, such as "sm_90", without needing that GPU. Raises `CompilationFailed`, or
        `UnsupportedOperation` for what Triton cannot compile for that target in any config.
        """
        if isinstance(target, str):
            target = parse_target(target)
        return facts(self._compile(self.generate(config, target), target), target)

    def _compile(self, generated: Generated, target: Target) -> Any:
        types = signature(generated)
        try:
            return compile_kernel(
                generated.kernel_source, generated.kernel_name, types, target, generated.options,
                meanwhile=modules.build if self.device.type == "cuda" and target.backend == "cuda" else None,
            )  # fmt: skip
        except Exception as error:
            raise compile_error(error, self.program, target, generated.config) from error


def _outline(program: Program) -> tuple[Any, ...]:
    """What the lists of a config count."""
    from ..lower.access import access_key, accesses
    from ..lower.rolling import rollable
    from ..lower.structure import constant_loops, device_loops, dims_of, multi_dim_loops

    counted = (program.blocks, device_loops(program), constant_loops(program), rollable(program))
    return (*map(len, counted), list(map(dims_of, multi_dim_loops(program))), list(map(access_key, accesses(program))))
