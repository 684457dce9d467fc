"""Operators with a name of the user's: a kernel, or a function that calls kernels, as a `torch.library` operator."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .. import exc
from ..location import Location
from ..runtime.abstract import AbstractKernel
from . import versions
from .dry import DryRun, concrete, dry_run
from .looking import looked_on
from .operators import define, loop_over_batches, without_gradient
from .promises import Promises
from .schema import schema_of, stored_parameters

log = logging.getLogger(__name__)


def as_op(
    function: AbstractKernel | Callable[..., Any], name: str, *, mutates: Collection[str] | None = None,
    backward: Callable[..., Any] | None = None, setup_context: Callable[..., None] | None = None, random: bool = False,
) -> Operator:  # fmt: skip
    """Registers `function` as the operator `name` ("library::operator"); call what it returns like the function.

    `function` is a kernel, or a host function that calls kernels (and torch): its annotations are the schema. Its
    implementation for tensors without data is the function itself, since kernels called with such tensors return such
    tensors; nothing needs to be written for torch.compile, torch.export or fake tensors.

    `mutates`: parameters that it changes; of a kernel, found in its stores. Every trace checks it. `random`: results
    differ from call to call; of a kernel, found in its program.

    `backward(ctx, *grads)` gives one gradient, or None, for each parameter; `setup_context(ctx, inputs, output)` runs
    after the forward, to save what it needs. Both are traced by torch.compile, and may call other kernels:

        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return swiglu_backward(grad, x)          # a kernel

        swiglu_op = swiglu.as_op("mylib::swiglu", backward=backward, setup_context=setup_context)

    A call from eager code with nothing to record goes to the function without passing the dispatcher: it costs what
    the function costs, and a look at each argument. An operator that changes arguments always passes it.

    Raises `InvalidOperator` for a name that is taken or malformed and for annotations that no schema can hold. Calls
    raise `SchemaMismatch` where the function returns or changes what the schema does not say.
    """
    kernel = function if isinstance(function, AbstractKernel) else None
    plain = function.fn if isinstance(function, AbstractKernel) else inspect.unwrap(function)
    _check_name(name)
    if mutates is None:
        mutates = stored_parameters(plain) if kernel is not None else ()
    if mutates and backward is not None:
        raise exc.InvalidOperator(
            name=name, problem="it changes an argument in place, and so can have no backward",
            instead="have it return a new tensor",
        )  # fmt: skip
    if kernel is not None:
        random = random or "torch.rand" in kernel.source.text
    schema = schema_of(name, plain, mutates)  # type: ignore[arg-type]
    operator = Operator(name, schema, function, plain, kernel, backward is not None, random)
    if backward is not None:
        operator.differentiable(backward, setup_context)
    return operator


def _check_name(name: str) -> None:
    namespace, _, short = name.partition("::")
    if not (namespace.isidentifier() and short.isidentifier()):
        raise exc.InvalidOperator(
            name=name, problem="the name is not of the form library::operator", instead='write "mylib::my_operator"'
        )
    if hasattr(getattr(torch.ops, namespace), short):
        raise exc.InvalidOperator(
            name=name, problem="there is an operator of this name already", instead="choose another name or library"
        )


class Operator:
    """A registered operator. `overload` is what torch calls: torch.ops.library.operator.default."""

    def __init__(
        self, name: str, schema: str, function: Callable[..., Any], plain: Callable[..., Any],
        kernel: AbstractKernel | None, has_gradient: bool, random: bool,
    ) -> None:  # fmt: skip
        self.name, self.schema, self.has_gradient = name, schema, has_gradient
        self._function, self._kernel = function, kernel
        self._signature = inspect.signature(plain)
        self._names = tuple(name.split("::"))
        self._checked = self._direct = False
        self._transformed: Any = None
        self._library, self.overload = define(name, schema, self._run, self._fake, random=random)
        defined = Location(plain.__code__.co_filename, plain.__code__.co_firstlineno)
        self._promises = Promises.of(self.overload, defined)
        if not has_gradient:
            without_gradient(self._library, self.overload)
        if self.overload._schema.returns and not self._promises.written:
            loop_over_batches(self._library, self.overload)
        functools.update_wrapper(self, plain)
        _OPERATORS[name] = self

    def differentiable(self, backward: Callable[..., Any], setup_context: Callable[..., None] | None) -> None:
        """Gives the operator a gradient."""
        torch.library.register_autograd(self.name, backward, setup_context=setup_context, lib=self._library)
        self._transformed = _function(self.name, self.overload, backward, setup_context)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if versions.is_dynamo_compiling():
            from .graph import operator_in_graph

            return operator_in_graph(*self._names, *args, **kwargs)
        if versions.active_transform() is not None:
            return self._under_transform(self._placed(args, kwargs))
        if kwargs or not self._direct or looked_on(args) or self._recorded(args):
            self._refuse_forward_mode([*args, *kwargs.values()])
            return self.overload(*args, **kwargs)
        return self._function(*args)

    def _recorded(self, args: Sequence[Any]) -> bool:
        """Whether autograd must know of a call."""
        return self.has_gradient and torch.is_grad_enabled() and any(map(_requires_grad, args))

    def _placed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """All arguments, in order. Raises TypeError as the function would."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return list(bound.args)

    def _under_transform(self, args: Sequence[Any]) -> Any:
        """A call under torch.func.grad, torch.vmap and the like, which torch.library knows no rules for."""
        self._refuse_forward_mode(args)
        if not any(isinstance(t, torch.Tensor) and versions.tracked_for_gradient(t) for t in tree_leaves(args)):
            return self.overload(*args)
        if not self.has_gradient:
            raise exc.TransformNotSupported(
                name=self.name, transform="torch.func.grad or vjp", problem="the operator has no backward",
                instead="give as_op(...) a backward",
            )  # fmt: skip
        return self._transformed.apply(*args)

    def _refuse_forward_mode(self, args: Sequence[Any]) -> None:
        if versions.forward_mode([t for t in tree_leaves(args) if isinstance(t, torch.Tensor)]):
            raise exc.TransformNotSupported(
                name=self.name, transform="forward-mode differentiation", problem="an operator has none",
                instead="use reverse mode: torch.func.vjp, grad or jacrev",
            )  # fmt: skip

    # --- implementations

    def _run(self, *args: Any) -> Any:
        if not self._checked:
            self._rehearse(args)
            self._checked = True
            self._direct = not self._promises.written  # autograd counts changes
        return self._function(*args)

    def _rehearse(self, args: Sequence[Any]) -> None:
        """Before the first call: what the schema promises, tried on tensors without data."""
        with versions.nothing_active(), versions.fakes() as mode:
            try:
                self._fake(*concrete(args, mode))
            except exc.SchemaMismatch:
                raise
            except Exception as error:
                log.info("%s cannot run on tensors without data: %s", self.name, error)

    def _fake(self, *args: Any) -> Any:
        watch = self._promises.watch(args)
        if self._kernel is not None:
            run = dry_run(self._kernel, args)
        else:
            run = DryRun(self._function(*args))
        watch.check(run.result, run.written)
        return run.result

    def __deepcopy__(self, memo: dict[int, Any]) -> Operator:
        return self

    def __reduce__(self) -> tuple[Callable[..., Operator], tuple[str, str]]:
        """By name: the module that registers the operator does so where it arrives."""
        return _registered, (self.__module__, self.name)

    def __repr__(self) -> str:
        return f"<helion operator {self.name}{self.schema}>"


_OPERATORS: dict[str, Operator] = {}


def _registered(module: str, name: str) -> Operator:
    """The operator `name`, which importing `module` registers. Raises ImportError where it does not."""
    importlib.import_module(module)
    if name not in _OPERATORS:
        raise ImportError(f"importing {module} does not register the operator {name}")
    return _OPERATORS[name]


def _function(name: str, overload: Any, backward: Callable[..., Any], setup_context: Callable[..., None] | None) -> Any:
    """The operator as a function that torch.func can differentiate."""

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        if setup_context is not None:
            setup_context(ctx=ctx, inputs=inputs, output=output)

    members = {
        "forward": staticmethod(overload), "setup_context": staticmethod(setup), "backward": staticmethod(backward),
        "generate_vmap_rule": True,
    }  # fmt: skip
    return type(name.replace("::", "_"), (torch.autograd.Function,), members)


def _requires_grad(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.requires_grad
    return isinstance(value, (list, tuple)) and any(map(_requires_grad, value))
