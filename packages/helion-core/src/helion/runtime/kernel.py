"""`Kernel`: a decorated function, its settings, and the specialisations bound so far."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.compiler import is_dynamo_compiling

from .. import exc, location, logs
from ..config import Config, as_config
from ..frontend import engine
from ..integration.dispatch import dispatched
from ..integration.handles import handle
from ..integration.looking import looked_on
from ..integration.versions import active_modes, forward_ad, jit_tracer
from ..locks import TRACING, Lock
from ..settings import Settings
from .abstract import AbstractKernel
from .definition import tensors_of
from .recognition.arguments import check_arguments, check_tensors, refusal
from .recognition.captures import Captures
from .recognition.keys import Unsupported, has_key, key_function, nested_key
from .recognition.recent import Call, Known, Matcher, Signature, matcher

if TYPE_CHECKING:
    from ..integration.named import Operator
    from ..ir import Program
    from ..trace.races import Race
    from ..trace.trace import Traced
    from ..tuning.shapes import ShapeTable
    from .bound import BoundKernel


logs.set_up()
log = logging.getLogger(__name__)
Chooser = Callable[["BoundKernel", Sequence[Any]], Config | Mapping[str, Any] | None]
_MANY = 64  # specialisations of one kernel after which the user is told


class Kernel(AbstractKernel):
    """A function compiled on first use; call it like the function."""

    def __init__(
        self, fn: Callable[..., Any], configs: Sequence[Config], settings: Settings,
        key: Callable[..., Hashable] | None = None, chooser: Chooser | None = None,
    ) -> None:  # fmt: skip
        super().__init__(fn, configs, settings, chooser)
        self.handle = handle(self)
        self._bound: dict[Hashable, list[BoundKernel]] = {}
        self._captures = Captures()
        self._captures.add([self.fn])
        self._arity = len(self._signature.parameters)
        self._dynamic = not settings.static_shapes
        self._parts = key_function(
            list(self._signature.parameters), self._constants, self._captures.names, self._dynamic
        )
        self._own_key = key
        self._known = Known(self._further_parts())
        self._lock = Lock()
        functools.update_wrapper(self, self.fn)

    # --- arguments

    def specialization_key(self, args: Sequence[Any]) -> tuple[Hashable, ...]:
        """What the compiled code depends on: calls with equal keys share it."""
        return self._key(args, self._known.others)

    def _key(self, args: Sequence[Any], others: Sequence[Callable[..., Hashable]]) -> tuple[Hashable, ...]:
        try:
            parts = self._parts(*args)
        except (Unsupported, RuntimeError, NotImplementedError):
            refused = refusal(list(self._signature.parameters), args, has_key)
            if refused is None:
                raise
            raise refused from None
        return (*parts, *[other(*args) for other in others]) if others else parts

    def _further_parts(self) -> list[Callable[..., Hashable]]:
        """What else the key holds besides a part for each argument, as functions of all arguments."""
        captured = [lambda *_: self._captures.key()] if self._captures else []
        return captured + ([self._own_key] if self._own_key is not None else [])

    def bind(self, args: Sequence[Any]) -> BoundKernel:
        """The specialisation for `args`, traced where it is new. Raises the errors of the user's kernel."""
        if engine.current() is not None:
            raise exc.NestedKernelCallsNotSupported(name=self.name, location=location.here())
        check_arguments(self.name, args)
        args = self.normalize_args(*args)
        with self._lock:
            return self._bind(args)

    def _bind(self, args: tuple[Any, ...]) -> BoundKernel:
        key = self.specialization_key(args)
        for bound in self._bound.get(key, ()):
            if bound.holds(*args):
                return bound
        check_tensors(list(self._signature.parameters), args)
        device = self.device_of(args)
        from ..trace.specialized import shown
        from ..trace.trace import trace
        from .bound import BoundKernel

        with TRACING:
            traced = trace(self.rewritten, self.name, args, self.settings, self._constants)
        log.debug("%s: traced for %s", self.name, shown(traced.arguments))
        bound = BoundKernel(self, traced, device)
        if traced.program.tunables:
            bound.retrace = self._retracer(args)
        if self._captures.add([self.fn, *traced.functions]):
            self.forget_runs()
            key = self.specialization_key(args)
        self._bound.setdefault(key, []).append(bound)
        self._warn(args)
        if traced.races:
            self._warn_of_races(bound, traced.races)
        return bound

    def _warn_of_races(self, bound: BoundKernel, races: Sequence[Race]) -> None:
        """Warns of the first store by which programs race, unless no config that was given leads to one."""
        from ..trace.races import happening

        for race in (happening(races, bound.config_spec, self.configs) if self.configs else races)[:1]:
            exc.warn(race.warning(self.name), self.settings.ignore_warnings, race.place)

    def _warn(self, args: Sequence[Any]) -> None:
        """What the user should know of a new specialisation."""
        self.warn_of_gradients(args)
        count = sum(map(len, self._bound.values()))
        if count == _MANY and self.settings.static_shapes:
            exc.warn(exc.ManySpecializations(kernel=self.name, count=count), self.settings.ignore_warnings)

    def _retracer(self, args: Sequence[Any]) -> Callable[[Mapping[str, Any]], Traced]:
        """Traces again for other values of the user's own choices."""
        from ..trace.trace import hollow, trace

        stand_ins = hollow(args)
        return lambda chosen: trace(self.rewritten, self.name, stand_ins, self.settings, self._constants, chosen)

    # --- running

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_dynamo_compiling():
            from ..integration.graph import call_in_graph

            return call_in_graph(self.handle, *args, **kwargs)
        if engine.current() is not None:
            raise exc.NestedKernelCallsNotSupported(name=self.name)
        if kwargs or len(args) != self._arity:
            args = self.normalize_args(*args, **kwargs)
        known = self._known
        call = known.calls[0]
        if call.matches(*args) and not active_modes() and forward_ad._current_level < 0 and jit_tracer() is None:
            return call.run(*args)
        try:
            return self._further(known, args)
        except exc.InternalError:
            raise
        except exc.Base as error:
            raise error.with_traceback(location.trim(error.__traceback__))  # noqa: B904 - it is the same error

    def _further(self, known: Known, args: tuple[Any, ...]) -> Any:
        """A call unlike the one that is asked for first. A mode or transform of torch's makes it differ, too."""
        call = known.find(args)
        if call is None or active_modes() or forward_ad._current_level >= 0 or jit_tracer() is not None:
            return self._looked_up(*args)
        return call.run(*args) if call.settled else self._settled(known, call, args)

    def _settled(self, known: Known, call: Call, args: tuple[Any, ...]) -> Any:
        """A call like one before it, which is likely to come again: the next one like it runs as little as possible."""
        result = call.run(*args)
        straight = getattr(call.run, "straight", None)
        shorter = straight and straight(args, self._constants | call.asked)
        if shorter and call.matches(*args):  # unless host code has given an argument another layout
            call.run = shorter
        call.settled = True
        known.to_front(call)
        return result

    def _looked_up(self, *args: Any) -> Any:
        """A call that is like none of the recent ones."""
        if looked_on(args):
            return dispatched(self, args)
        known = self._known
        key = self._key(args, known.others)
        signature = known.signatures.get(key)
        if signature is None:
            return self._first(args)
        known.missed()
        call = signature.find(args)
        if call is not None:
            known.remember(call)
            return call.run(*args)
        run, bound = signature.choose(args)
        if signature.learns():
            asked = bound.asked_numbers
            matches = self._matcher(args, key, known.others, asked)
            if matches(*args):
                known.learn(signature, Call(matches, run, asked))
        return run(*args)

    def _matcher(
        self, args: Sequence[Any], key: tuple[Hashable, ...], others: Sequence[Callable[..., Hashable]],
        asked: frozenset[str],
    ) -> Matcher:  # fmt: skip
        """Recognises calls just like this one, with the same numbers for the parameters `asked`."""
        places = [k for k, name in enumerate(self._signature.parameters) if name in asked]
        return matcher(args, key, self._nested_key, others, places)

    def _nested_key(self, value: Any) -> Hashable:
        return nested_key(value, self._captures.names)

    def _first(self, args: tuple[Any, ...]) -> Any:
        """A call of a signature that nothing is known of."""
        self._expect_search(args)
        bound = self.bind(args)
        run = bound.run_for(args)
        with self._lock:
            key = self.specialization_key(args)
            self._known.signatures[key] = self._signature_of(bound, key, args)
        return run(*args)

    def _signature_of(self, bound: BoundKernel, key: Hashable, args: Sequence[Any]) -> Signature:
        """What calls with `key` run, of which this one belongs to `bound`."""
        if not bound.conditional:
            always = bound.run_for(args), bound
            return Signature(lambda _: always)
        bounds = self._bound[key]

        def choose(args: Sequence[Any]) -> tuple[Callable[..., Any], BoundKernel]:
            for bound in bounds:
                if bound.holds(*args):
                    return bound.run_for(args), bound
            bound = self.bind(args)
            return bound.run_for(args), bound

        return Signature(choose)

    def autotune(self, args: Sequence[Any], force: bool = False) -> Config:
        """Chooses the fastest config for `args`; `force` tunes even where configs are given or cached."""
        args = self.normalize_args(*args)
        self._expect_search(args)
        return self.bind(args).autotune(args, force=force)

    def _expect_search(self, args: Sequence[Any]) -> None:
        """Before the first trace: the processes of a search take seconds to start, and so does tracing."""
        if not self._bound:
            from ..tuning.early import expect_search

            device = next((t.device for a in args for t in tensors_of(a) if t.is_cuda), None)
            if device is not None:
                expect_search(self, device)

    def autotune_shapes(
        self, shapes: Sequence[Sequence[Any]], key: Callable[..., Hashable] | None = None, force: bool = False
    ) -> ShapeTable:
        """Tunes for each of `shapes`, which are arguments of calls, then has similar shapes share one config.

        Those share whose `key(*args)` is equal; by default, whose sizes round up to the same powers of two. The result
        says what sharing costs. Raises `UnsupportedDevice` for tensors that are not on a GPU.
        """
        from ..tuning.shapes import tune_shapes

        return tune_shapes(self, shapes, key, force)

    def as_op(
        self, name: str, *, mutates: Collection[str] | None = None, backward: Callable[..., Any] | None = None,
        setup_context: Callable[..., None] | None = None,
    ) -> Operator:  # fmt: skip
        """Registers this kernel as the `torch.library` operator `name` ("library::operator").

        See `helion.integration.as_op`, which also makes operators of functions that call kernels.
        """
        from ..integration.named import as_op

        return as_op(self, name, mutates=mutates, backward=backward, setup_context=setup_context)

    @property
    def programs(self) -> list[Program]:
        """What was traced so far, one for each specialisation."""
        return [bound.program for found in list(self._bound.values()) for bound in found]

    def reset(self) -> None:
        """Forgets every specialisation."""
        with self._lock:
            self._bound.clear()
            self.forget_runs()

    def forget_runs(self) -> None:
        """Has every signature ask its specialisation again what to run."""
        with self._lock:
            self._known = Known(self._further_parts())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method, a kernel receives its instance as the first argument."""
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> str:
        """By name, as functions are pickled and copied: what was compiled belongs to this process."""
        return self.fn.__qualname__

    def __repr__(self) -> str:
        return f"<helion kernel {self.fn.__module__}.{self.fn.__qualname__}>"


def kernel(
    fn: Callable[..., Any] | None = None, *, config: Config | Mapping[str, Any] | Chooser | None = None,
    configs: Sequence[Config | Mapping[str, Any]] | None = None, key: Callable[..., Hashable] | None = None,
    **settings: Any,
) -> Any:  # fmt: skip
    """Makes a function a kernel: `@helion.kernel`, `@helion.kernel()`, `@helion.kernel(config=...)`.

    `config` is used as it is; a function `config(bound, args)` is asked once for each specialisation, and may answer
    None for the default. Of several `configs` the fastest is used. `key(*args)` adds to what the kernel is specialised
    on. Other keywords are settings. Raises `InvalidConfig`, `InvalidSetting`, `InvalidKernelSignature`.
    """
    if config is not None and configs is not None:
        raise exc.InvalidConfig(key="configs", problem="given together with `config`", allowed="give one of the two")
    if isinstance(configs, (Mapping, str)):
        raise exc.InvalidConfig(
            key="configs", problem=f"is a {type(configs).__name__}", allowed="a list of configs; one alone is `config=`"
        )
    chooser, config = (config, None) if callable(config) else (None, config)
    given = [as_config(c) for c in ([config] if config is not None else configs or ())]
    resolved = Settings.resolve(settings)

    def decorate(function: Callable[..., Any]) -> Kernel:
        return Kernel(function, given, resolved, key, chooser)

    return decorate if fn is None else decorate(fn)
