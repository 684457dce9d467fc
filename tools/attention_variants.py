"""The attention kernels under several configs, side by side, and what torch has for the same: TFLOP/s on this GPU.

python tools/attention_variants.py            # needs a GPU; every round times each candidate once, medians are printed
python tools/attention_variants.py --facts    # on any machine: registers, spills, shared memory as compiled for sm_90
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

import helion
from helion import exc
from helion.runtime.targets import parse_target
from helion_kernels.flash.backward import attention_delta, attention_dkdv, attention_dq
from helion_kernels.flash.forward import attention_forward
from helion_kernels.frame import choice

SHAPES = ((4, 32, 32, 4096, 128), (4, 32, 32, 4096, 64), (4, 32, 8, 4096, 128))  # batch, heads, key heads, length, d
FORWARD: tuple[dict[str, Any], ...] = tuple(
    {"block_sizes": [n, edge, m], "num_warps": warps, "num_stages": stages, "pid_type": order}
    for m, n, edge, warps, stages in (
        (64, 128, 64, 4, 1),
        (64, 128, 32, 4, 1),
        (64, 128, 64, 4, 2),
        (64, 64, 64, 4, 3),
        (128, 64, 64, 4, 2),
        (128, 128, 128, 8, 2),
    )
    for order in ("flat", "xyz")
)
BACKWARD: tuple[dict[str, Any], ...] = tuple(
    {"block_sizes": [inner, rows], "num_warps": warps, "num_stages": stages}
    for rows, inner, warps, stages in (
        (128, 64, 8, 2),
        (128, 64, 8, 3),
        (64, 64, 4, 2),
        (128, 32, 8, 2),
        (64, 128, 8, 2),
    )
)
PRODUCTS = {"attention_forward": 2, "attention_dq": 3, "attention_dkdv": 4}


def kernels(shape: tuple[int, ...], causal: bool, device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The kernels and their arguments."""
    batch, heads, groups, length, d = shape
    made = torch.randn if device == "cuda" else torch.empty  # what is only compiled for needs no contents
    q, grad = (made(batch, heads, length, d, device=device, dtype=torch.bfloat16) for _ in range(2))
    k, v = (made(batch, groups, length, d, device=device, dtype=torch.bfloat16) for _ in range(2))
    band, scale = (-1, 0 if causal else -1), d**-0.5
    forward, dq, dkdv = (f.kernels[0] for f in (attention_forward, attention_dq, attention_dkdv))  # type: ignore[attr-defined]
    yield forward, (q, k, v, None, scale, band)
    if device == "cpu":
        out, logs = torch.empty_like(q), torch.empty(batch, heads, length, device=device)
        delta = logs
    else:
        out, logs = forward(q, k, v, None, scale, band)
        delta = attention_delta(grad, out, None)
    yield dq, (q, k, v, grad, None, logs, delta, scale, band, False)
    yield dkdv, (q, k, v, grad, None, logs, delta, scale, band)


def candidates(bound: helion.BoundKernel, args: tuple[Any, ...], target: Any) -> Iterator[tuple[str, Any]]:
    """Named configs: what a call takes without tables, then the lists above with descriptors."""
    default = choice.default(bound, args, target)
    yield "default", default
    for chosen in FORWARD if bound.kernel.name == "attention_forward" else BACKWARD:
        yield ", ".join(f"{k} {v}" for k, v in chosen.items()), helion.Config(**{**default, **chosen})


def show_facts(shape: tuple[int, ...], causal: bool) -> None:
    target = parse_target("sm_90")
    for kernel, args in kernels(shape, causal, "cpu"):
        bound = kernel.bind(args)
        for name, config in candidates(bound, args, target):
            try:
                facts = bound.compile_for(target, config)
            except exc.CompilationFailed as error:
                print(f"  {kernel.name:18} {name:74} {error.__class__.__name__}")
                continue
            print(f"  {kernel.name:18} {name:74} {facts.registers:4} registers {facts.spills:5} spilled "
                  f"{facts.shared_memory:7} shared")  # fmt: skip


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds of one call behind a full queue."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(200_000)
    begin.record()
    function()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def peers(shape: tuple[int, ...], causal: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """torch's own forward and backward passes."""
    batch, heads, groups, length, d = shape
    for name, backend in (("cuDNN", SDPBackend.CUDNN_ATTENTION), ("FlashAttention-2", SDPBackend.FLASH_ATTENTION)):
        q, k, v = (
            torch.randn(batch, h, length, d, device="cuda", dtype=torch.bfloat16, requires_grad=True)
            for h in (heads, groups, groups)
        )

        def forward(q: Any = q, k: Any = k, v: Any = v, backend: Any = backend) -> torch.Tensor:
            with sdpa_kernel(backend):
                return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=heads != groups)

        try:
            out = forward()
        except RuntimeError as error:
            print(f"  {name}: {str(error).splitlines()[0]}")
            continue
        grad = torch.randn_like(out)

        def backward(out: Any = out, inputs: Any = (q, k, v), grad: Any = grad) -> Any:
            return torch.autograd.grad(out, inputs, grad, retain_graph=True)

        yield f"{name} forward", forward
        yield f"{name} backward", backward


def measure(shape: tuple[int, ...], causal: bool, rounds: int) -> None:
    batch, heads, _, length, d = shape
    flops = 2 * batch * heads * length**2 * d / (2 if causal else 1)  # of one product
    runs: list[tuple[str, float, Callable[[], Any]]] = []
    for kernel, args in kernels(shape, causal, "cuda"):
        bound = kernel.bind(args)
        for name, config in candidates(bound, args, bound.target):
            try:
                run = bound.compile_config(config).run
                run(*args)
            except (exc.Base, RuntimeError) as error:
                print(f"  {kernel.name} {name}: {str(error).splitlines()[0][:100]}")
                continue
            work = PRODUCTS[kernel.name] * flops
            runs.append((f"{kernel.name:18} {name}", work, lambda run=run, args=args: run(*args)))
    runs += [(n, (2 if n.endswith("forward") else 5) * flops, f) for n, f in peers(shape, causal)]
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for (_, _, function), found in zip(runs, times, strict=True):
            found.append(timed(function))
    for (name, work, _), found in zip(runs, times, strict=True):
        middle = statistics.median(found)
        print(f"  {name:94} {middle:8.3f} ms {work / middle / 1e9:6.0f} TFLOP/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", action="store_true", help="compile only")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    for shape in SHAPES:
        for causal in (False, True):
            print(f"{'x'.join(map(str, shape))}{' causal' if causal else ''}")
            if options.facts:
                show_facts(shape, causal)
            else:
                measure(shape, causal, options.rounds)


if __name__ == "__main__":
    main()
