"""Export matmul, softmax and rms_norm for the GPU of this machine; run them where triton and helion cannot be imported.

Usage: `python tools/check_export.py [--folder FOLDER]`

A fresh process in which importing triton or helion fails loads the exports and compares them with torch in float64: on
aligned and unaligned tensors, on a stream of its own, in another thread. It also prints the host time of a call beside
that of torch's own operator. Exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "packages" / "helion-core" / "examples"
ROWS, COLUMNS, DEPTH = 1000, 768, 520  # no multiples of tile sizes
CONFIGS = {
    "matmul": None,
    "matmul_any_size": None,
    "rms_norm": None,
    "matmul_pointers": {"block_sizes": [64, 128, 32], "num_warps": 4, "num_stages": 3, "indexing": "pointer"},
    "softmax": None,
}

RUN = """
import sys, time
from concurrent.futures import ThreadPoolExecutor

sys.modules.update(dict.fromkeys(("triton", "helion", "helion_autotune")))  # importing them fails; torch sees none
import torch
from exports import matmul, matmul_any_size, matmul_pointers, rms_norm, softmax

m, n, k = map(int, sys.argv[1:])
torch.manual_seed(0)
failed = False

def tensor(*shape, shift=0):
    count = torch.Size(shape).numel()
    return torch.randn(count + shift, device="cuda", dtype=torch.bfloat16)[shift:].view(shape)

def report(name, out, exact):
    global failed
    if exact.numel() == 0:
        print(f"{name:44} empty, {'ok' if out.shape == exact.shape else 'WRONG'}")
        failed |= out.shape != exact.shape
        return
    error = ((out.double() - exact).abs() / (exact.abs() + exact.square().mean().sqrt())).max().item()
    failed |= not error <= 1e-2
    print(f"{name:44} error {error:.1e}  {'ok' if error <= 1e-2 else 'WRONG'}", flush=True)

def microseconds(call):
    for _ in range(50):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(500):
        call()
    spent = time.perf_counter() - start
    torch.cuda.synchronize()
    return spent / 500 * 1e6

def products(note):
    for name, run in (("matmul", matmul.matmul), ("matmul with pointers", matmul_pointers.matmul)):
        for shift in (0, 1):
            x, y = tensor(m, k, shift=shift), tensor(k, n)
            state = "unaligned" if shift else "aligned"
            report(f"{name}, {state}{note}", run(x, y), x.double() @ y.double())

products("")
for shift in (0, 1):
    x = tensor(m, n, shift=shift)
    report(f"softmax, {'unaligned' if shift else 'aligned'}", softmax.softmax(x), torch.softmax(x.double(), 1))
for rows, depth, columns in ((m, k, n), (1, 1, 1), (333, 64, 80), (0, 8, 8)):
    x, y = tensor(rows, depth), tensor(depth, columns)
    report(f"matmul of any size, {rows}x{depth}x{columns}", matmul_any_size.matmul(x, y), x.double() @ y.double())
x, weight = tensor(m, n), tensor(n)
exact = x.double() * (x.double().square().mean(1, keepdim=True) + 1e-3).rsqrt() * weight.double()
report("rms_norm with its number", rms_norm.rms_norm(x, weight, 1e-3)[0], exact)
with torch.cuda.stream(torch.cuda.Stream()):
    products(", own stream")
    torch.cuda.current_stream().synchronize()
with ThreadPoolExecutor(1) as pool:
    pool.submit(products, ", other thread").result()
graph, x = torch.cuda.CUDAGraph(), tensor(m, n)
softmax.softmax(x)
torch.cuda.synchronize()
with torch.cuda.graph(graph):
    out = softmax.softmax(x)
x.copy_(tensor(m, n))
graph.replay()
report("softmax, replayed from a CUDA graph", out, torch.softmax(x.double(), 1))
small = tensor(m, n)
ours, theirs = microseconds(lambda: softmax.softmax(small)), microseconds(lambda: torch.softmax(small, 1))
print(f"host time of a call of softmax: exported {ours:.1f} us, torch {theirs:.1f} us")
assert not (sys.modules["triton"] or sys.modules["helion"]), "the compiler was imported"
sys.exit(failed)
"""


def export(folder: Path) -> None:
    """Exports for the GPU of this machine."""
    sys.path.insert(0, str(EXAMPLES))
    import _harness as harness
    import torch

    import helion
    from helion.runtime.targets import device_target

    x = torch.randn(ROWS, DEPTH, device="cuda", dtype=torch.bfloat16)
    y = torch.randn(DEPTH, COLUMNS, device="cuda", dtype=torch.bfloat16)
    rows = torch.randn(ROWS, COLUMNS, device="cuda", dtype=torch.bfloat16)
    target = device_target(x.device)
    assert target is not None
    inputs = {"softmax": (rows,), "rms_norm": (rows, rows[0].clone(), 1e-3)}
    for name, config in CONFIGS.items():
        example = name if name in inputs else "matmul"
        kernel = getattr(harness.load(example), example)
        if name == "matmul_any_size":
            kernel = helion.kernel(kernel.fn, static_shapes=False, use_default_config=True)
        bound = kernel.bind(inputs.get(name, (x, y)))
        bound.export(folder / "exports" / name, targets=[target.name], config=config)
        print(f"exported {name} for {target.name} with {bound.generate(config, target).config}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keep the exports here (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        export(folder)
        command = [sys.executable, "-c", RUN, *map(str, (ROWS, COLUMNS, DEPTH))]
        return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
