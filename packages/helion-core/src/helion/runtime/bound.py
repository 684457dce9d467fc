"""`BoundKernel`: a specialisation that chooses its config on the first call."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from ..config import Config
from ..exc import InvalidConfig
from ..integration.capture import refuse_in_capture
from ..locks import Lock
from .specialization import CompiledConfig, Specialization
from .table import Table, size_bucket

if TYPE_CHECKING:
    from ..trace.trace import Traced
    from .abstract import AbstractKernel

log = logging.getLogger(__name__)


class BoundKernel(Specialization):
    """A kernel bound to some kind of arguments, to be called with such."""

    def __init__(self, kernel: AbstractKernel, traced: Traced, device: torch.device) -> None:
        super().__init__(traced, device)
        self._kernel = kernel
        self._chosen: Callable[..., Any] | None = None
        self._lock, self._choice = Lock(), Lock()
        self._table: Table | None = None
        self.holds = traced.holds  # whether a call with these arguments is one of this specialisation

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundKernel:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self._kernel!r} is bound in this process; pickle the kernel, and bind it again where it arrives"
        )

    @property
    def kernel(self) -> AbstractKernel:
        """The kernel that was bound."""
        return self._kernel

    @property
    def conditional(self) -> bool:
        """Whether the trace holds only for some of the calls with its key."""
        return bool(self.traced.guards or self.traced.facts) or self._table is not None

    @property
    def asked_numbers(self) -> frozenset[str]:
        """Parameters whose numbers decide what a call runs, besides types and sizes; others may be among them."""
        if self._table is not None and self._table.asks_numbers:
            return frozenset(self.traced.parameters)
        return self._guarded_numbers

    @functools.cached_property
    def _guarded_numbers(self) -> frozenset[str]:
        names, parameters = {s.symbol: s.source for s in self.traced.scalars}, set(self.traced.parameters)
        sizes = {s.symbol for s in self.traced.scalars if s.is_size}
        asked = {names.get(symbol, "") for guard in self.traced.guards for symbol in guard.free_symbols - sizes}
        return frozenset(asked if asked <= parameters else parameters)

    @property
    def chosen(self) -> Callable[..., Any] | None:
        """What calls run, once a config is chosen."""
        return self._chosen

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

    def export(self, path: str | Path, targets: Sequence[str] = (), config: Any = None) -> Path:
        """Writes a folder that runs this kernel with Python and torch alone; see `helion.export`."""
        from ..export import export

        return export(self, path, targets, config)

    def _print_repro(self, args: Sequence[Any]) -> None:
        if self.kernel.settings.print_repro:
            from .repro import print_repro

            print_repro(self, args)

    def __call__(self, *args: Any) -> Any:
        return self.run_for(args)(*args)
