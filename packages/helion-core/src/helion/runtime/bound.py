"""`BoundKernel`: a kernel for one specialisation of its arguments, holding its program and compiled configs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from ..config import Config, as_config
from . import launch
from .compile import CompileFacts, compile_error, compile_kernel, facts, signature_type
from .descriptors import descriptor_type
from .targets import Target, device_target

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..ir import Program
    from ..lower.spec import ConfigSpec
    from ..trace.trace import Traced
    from .kernel import Kernel


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

    @property
    def conditional(self) -> bool:
        """Whether the trace holds only for some values of the number arguments."""
        return bool(self._traced.guards)

    @property
    def chosen(self) -> Callable[..., Any] | None:
        """What calls run, once a config is chosen."""
        return self._chosen

    @property
    def program(self) -> Program:
        """What was traced; prints readably."""
        return self._traced.program

    @cached_property
    def config_spec(self) -> ConfigSpec:
        """The search space; prints readably."""
        from ..lower.spec import config_spec

        return config_spec(self.program)

    @property
    def target(self) -> Target | None:
        """The architecture of the arguments' device; None on the CPU."""
        return device_target(self.device)

    def default_config(self) -> Config:
        return self.config_spec.default()

    @property
    def config(self) -> Config | None:
        """The config that calls use, once one is chosen."""
        return self._chosen_config

    # --- code

    def generate(self, config: Any = None) -> Generated:
        """The generated module for `config` (default: the chosen one, else the default). Raises `InvalidConfig`."""
        from ..emit.module import generate

        chosen = config if config is not None else self._chosen_config
        normal = self.config_spec.normalize(as_config(chosen)) if chosen is not None else self.default_config()
        found = self._generated.get(normal)
        if found is None:
            found = generate(self.kernel.source, self.program, normal, self._traced.replacements)
            self._generated[normal] = found
        return found

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
            run = launch.host_callable(generated, self.device)
            found = self._compiled[generated.config] = CompiledConfig(generated.config, generated, run)
        return found

    def compile_for(self, target: Target, config: Any = None) -> CompileFacts:
        """Compiles for `target` without needing that GPU. Raises `CompilationFailed`."""
        generated = self.generate(config)
        signature = [signature_type(t.dtype) for t in self.program.tensors]
        signature += ["fp32" if s.is_float else "i64" if s.is_wide else "i32" for s in self.program.scalars]
        signature += map(descriptor_type, generated.descriptors)
        try:
            compiled = compile_kernel(
                generated.kernel_source, generated.kernel_name, signature, target, generated.options
            )
        except Exception as error:
            raise compile_error(error, self.kernel.name, target.name, generated.config) from error
        return facts(compiled, target)

    # --- choosing a config

    def set_config(self, config: Any) -> None:
        """Calls use `config` from now on."""
        compiled = self.compile_config(config)
        self._chosen_config = compiled.config
        self._chosen = compiled.run

    def autotune(self, args: Sequence[Any], force: bool = False) -> Config:
        """Chooses the fastest config for `args` and uses it from now on."""
        from ..tuning import choose

        config = choose(self, args, force=force)
        self.set_config(config)
        return config

    def _choose(self, args: Sequence[Any]) -> Callable[..., Any]:
        """What the first call does: given config, default, fastest of the given, or tuning."""
        settings, configs = self.kernel.settings, self.kernel.configs
        if len(configs) == 1 and not settings.force_autotune:
            self.set_config(configs[0])
        elif settings.use_default_config or settings.autotune_effort == "none":
            self.set_config(self.default_config())
        else:
            self.autotune(args)
        assert self._chosen is not None
        return self._chosen

    def __call__(self, *args: Any) -> Any:
        run = self._chosen
        if run is None:
            run = self._choose(args)
        return run(*args)

