"""How results are held to float64: the tolerances, by dtype, and a check of values and gradients.

Functions of this package leave float64 to torch, so each of them is its own reference.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

import helion

from . import settings
from .frame import choice
from .frame.kernel import KERNELS
from .frame.samples import Shape, module_of
from .frame.support import FallbackWarning

if TYPE_CHECKING:
    from helion.runtime.targets import Target

TOLERANCES = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
"""Largest error of an element, against its own size plus the root mean square of the whole result."""


def error(out: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest error of an element; infinite where shapes, NaNs or infinities differ."""
    if out.shape != expected.shape:
        return float("inf")
    a, b = out.detach().double(), expected.detach().double()
    same = (a == b) | (a.isnan() & b.isnan())
    if b.numel() == 0 or bool(same.all()):
        return 0.0
    finite = torch.where(b.isfinite(), b, 0.0)
    relative = (a - b).abs() / (b.abs() + finite.square().mean().sqrt())
    relative = torch.where(same, 0.0, relative)
    return float("inf") if bool(relative.isnan().any()) else relative.max().item()


def errors(out: Any, expected: Any, what: str = "result") -> list[float]:
    """The error of every tensor in `out` against its counterpart. Raises AssertionError where one is missing."""
    found, wanted = tree_leaves(out), tree_leaves(expected)
    assert len(found) == len(wanted), f"{len(found)} {what}s instead of {len(wanted)}"
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert (a is None) == (b is None), (
            f"{what} {k} is {'None' if a is None else 'a tensor'}, unlike the reference's"
        )
    return [error(a, b) for a, b in zip(found, wanted, strict=True) if a is not None]


def assert_close(out: Any, expected: Any, tolerance: float) -> None:
    """Raises AssertionError unless the tensors in `out` are those in `expected`, within `tolerance`."""
    for k, found in enumerate(errors(out, expected)):
        assert found <= tolerance, f"result {k}: error {found:.2e}, allowed {tolerance:.1e}"


def check(
    function: Callable[..., Any], *args: Any, reference: Callable[..., Any] | None = None,
    gradients: bool = True, tolerance: float | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Holds `function(*args)`, and gradients for every floating tensor that requires them, to float64.

    Tensors on the CPU are computed by our kernels in the interpreter. `reference` (default: the function itself) gets
    the same arguments in float64. `tolerance`: default, what the coarsest dtype allows. Where a gradient is
    ill-conditioned, twice the error of torch in the same dtype is allowed, too. Returns the result.
    """
    reference = reference or function
    exact_inputs = tree_map_only(torch.Tensor, _exact, (args, kwargs))
    expected, exact_gradients = _by_torch(reference, exact_inputs)
    with interpreted():
        out = function(*args, **kwargs)
        found = _gradients(out, (args, kwargs)) if gradients else []
    allowed = tolerance if tolerance is not None else _allowed((args, kwargs, out))
    assert_close(out, expected, allowed)
    if not gradients:
        return out
    differences = errors(found, exact_gradients, "gradient")
    if any(d > allowed for d in differences):
        torchs = errors(_by_torch(reference, (args, kwargs))[1], exact_gradients, "gradient")
        for k, (ours, own) in enumerate(zip(differences, torchs, strict=True)):
            limit = max(allowed, 2 * own)
            assert ours <= limit, f"gradient {k}: error {ours:.2e}, allowed {limit:.1e}"
    return out


def _exact(t: torch.Tensor) -> torch.Tensor:
    return t.detach().double().requires_grad_(t.requires_grad) if t.is_floating_point() else t


def _by_torch(reference: Callable[..., Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
    """Results and gradients, with CPU tensors left to torch."""
    args, kwargs = inputs
    with warnings.catch_warnings(), settings.override("torch"):
        warnings.simplefilter("ignore", FallbackWarning)
        out = reference(*args, **kwargs)
        return out, _gradients(out, inputs)


def _allowed(values: Any) -> float:
    tensors = [t for t in tree_leaves(values) if isinstance(t, torch.Tensor)]
    return max(TOLERANCES.get(t.dtype, 0.0) for t in tensors)


def _gradients(out: Any, inputs: Any) -> Sequence[Any]:
    """For gradients of the results that are random, and the same at every call."""
    results = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor) and t.requires_grad]
    wanted = [t for t in tree_leaves(inputs) if isinstance(t, torch.Tensor) and t.requires_grad]
    if not wanted or not results:
        return [None] * len(wanted)
    generator = torch.Generator().manual_seed(0)
    # in steps of 1/256, so that all dtypes hold the same numbers
    seeds = [torch.randint(-256, 257, t.size(), generator=generator).to(t.device, t.dtype) / 256 for t in results]
    return torch.autograd.grad(results, wanted, seeds, allow_unused=True)


@contextlib.contextmanager
def interpreted() -> Iterator[None]:
    """Our kernels compute CPU tensors, in Triton's interpreter."""
    with settings.override("interpret"):
        yield


# --- what is compiled, where there is no GPU


class _Hollow(TorchFunctionMode):
    """Tensors are not filled: memory that nobody touches costs nothing."""

    _EMPTY = {  # noqa: RUF012
        torch.randn: torch.empty, torch.rand: torch.empty, torch.Tensor.normal_: lambda t, **_: t,
        torch.randint: lambda high, size, **options: torch.zeros(size, dtype=torch.int64, device=options.get("device")),
    }  # fmt: skip

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._EMPTY.get(func, func)(*args, **(kwargs or {}))


class Specialised(NamedTuple):
    """A kernel specialised to the arguments of a call."""

    bound: helion.BoundKernel
    args: tuple[Any, ...]

    def config(self, target: Target) -> helion.Config:
        """What a call uses on `target` where no table serves."""
        return choice.default(self.bound, self.args, target)


def specialised(op: str, shape: Shape, dtype: torch.dtype) -> list[Specialised]:
    """The kernels that the sample calls of `op` launch, specialised to their arguments; nothing is computed."""
    found: list[Specialised] = []

    def chooser(owner: str, bound: helion.BoundKernel, args: Sequence[Any]) -> None:
        found.append(Specialised(bound, tuple(args)))

    module = module_of(op)
    for made in KERNELS:
        made.reset()
    nothing = mock.patch("helion.runtime.interpreter.run", lambda *args: None)
    no_products = mock.patch("helion_kernels.losses.padded.write_product", lambda *args: None)
    with interpreted(), choice.chosen_by(chooser), nothing, no_products, _Hollow():
        for call in module.calls(shape, dtype, torch.device("cpu")):
            call.run()
    for made in KERNELS:
        made.reset()  # what was chosen here is chosen again in earnest
    return found
