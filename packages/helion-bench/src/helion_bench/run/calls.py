"""What is called: a forward pass, a backward pass over what one forward pass saved, or one after the other."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..backends.backend import Implementation
from ..cases.operation import Operation, Random
from ..cases.reference import as_tuple
from ..cases.results import Gradient, Inputs, Results
from ..results.model import CaseKey

SEED = 20_200


@dataclass
class Problem:
    """Inputs of a case, and the gradient of its output where the case is a backward pass."""

    case: CaseKey
    operation: Operation
    inputs: Inputs
    gradient: Gradient
    device: torch.device | str

    @classmethod
    def make(cls, case: CaseKey, operation: Operation, device: torch.device | str) -> Problem:
        """The same on every run."""
        random = Random(SEED, device)
        dtype = getattr(torch, case.dtype)
        inputs = operation.make(dict(case.sizes), dtype, random)
        gradient = None
        if case.pass_ != "fwd":
            with torch.no_grad():
                outputs = as_tuple(operation.eager(**inputs))
            gradient = tuple(random.normal(*output.shape, dtype=dtype) for output in outputs)
        return cls(case, operation, inputs, gradient, device)

    def again(self) -> Problem:
        """The same, made anew."""
        return Problem.make(self.case, self.operation, self.device)

    def copies(self, count: int) -> list[Problem]:
        """This one, and as many more as it takes to have `count`, in memory of their own."""
        return [self, *(replace(self, inputs=_cloned(self.inputs)) for _ in range(count - 1))]

    def expected(self) -> Results:
        """The truth in float64."""
        return self.operation.reference(dict(self.case.sizes), self.inputs, self.gradient)

    @property
    def footprint(self) -> int:
        """Bytes of the inputs."""
        return sum(v.nbytes for v in self.inputs.values() if isinstance(v, torch.Tensor))

    def checksum(self) -> list[float]:
        """Changes when an input does."""
        tensors = [v for v in self.inputs.values() if isinstance(v, torch.Tensor)]
        return [float(_bits(t).sum(dtype=torch.int64)) for t in tensors]


@dataclass
class Bound:
    """A call of an implementation on one problem, and what to make of what it returns."""

    call: Callable[[], Any]
    results: Callable[[Any], Results]


def bind(problem: Problem, function: Implementation) -> Bound:
    """The call to measure. For a backward pass alone, the forward pass runs here."""
    if problem.gradient is None:
        return Bound(functools.partial(function, **problem.inputs), lambda out: Results(as_tuple(out)))
    names = problem.operation.gradients
    leaves = {k: v.detach().requires_grad_() if k in names else v for k, v in problem.inputs.items()}
    wanted = [leaves[k] for k in names]
    if problem.case.pass_ == "fwd+bwd":
        return Bound(
            lambda: _forward_backward(problem, function, leaves, wanted), lambda both: _results(both[0], both[1], names)
        )
    outputs = _differentiable(function, leaves)
    gradients = _gradients(problem, outputs)
    call = functools.partial(torch.autograd.grad, outputs, wanted, gradients, retain_graph=True)
    kept = tuple(output.detach() for output in outputs)  # without what their backward pass saved
    return Bound(call, lambda grads: _results(kept, grads, names))


def _forward_backward(
    problem: Problem, function: Implementation, leaves: Inputs, wanted: list[torch.Tensor]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    outputs = _differentiable(function, leaves)
    return outputs, torch.autograd.grad(outputs, wanted, _gradients(problem, outputs))


def _differentiable(function: Implementation, leaves: Inputs) -> tuple[torch.Tensor, ...]:
    outputs = as_tuple(function(**leaves))
    if not all(output.requires_grad for output in outputs):
        raise RuntimeError("its result has no gradient")
    return outputs


def _gradients(problem: Problem, outputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    assert problem.gradient is not None
    return [g.to(output.dtype) for g, output in zip(problem.gradient, outputs, strict=True)]


def _results(outputs: tuple[torch.Tensor, ...], grads: Sequence[torch.Tensor], names: Sequence[str]) -> Results:
    return Results(tuple(output.detach() for output in outputs), dict(zip(names, grads, strict=True)))


def allocated() -> int:
    """Bytes of GPU memory in use by tensors of this process."""
    return torch.cuda.memory_allocated() if torch.cuda.is_initialized() else 0


def release() -> None:
    """Give back memory between cases. A GPU that no longer answers is told of elsewhere."""
    gc.collect()
    hand_back()


def hand_back() -> None:
    """Memory that tensors no longer use, to other processes; without the seconds that a search for cycles takes."""
    if torch.cuda.is_initialized():
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


def forget() -> None:
    """What torch.compile made for one case is of no use to the next, and too much of it makes it give up."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
    release()


def _cloned(inputs: Inputs) -> Inputs:
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in inputs.items()}


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.detach().view(integers[tensor.itemsize])
