"""A first kernel from end to end: written, checked, looked at, and compiled. Run it with `hatch run demo`.

No GPU is needed. Without one the kernel runs on the CPU, in Triton's interpreter, and is compiled for GPUs that are not
there; with one it runs on it, beside torch.matmul.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import torch
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

import helion
import helion.language as hl
from helion.runtime.targets import COMMON, parse_target

# What stands outside the loops is PyTorch on the host; the loops become one GPU kernel.


@helion.kernel()
def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)

    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc

    return out


# The choices that the kernel leaves open, for a few candidates. A call without any would look for the fastest.
CONFIGS = [
    helion.Config(block_sizes=[[64, 64], [32]], num_warps=4, num_stages=2),
    helion.Config(block_sizes=[[128, 128], [32]], num_warps=8, num_stages=3),
    helion.Config(block_sizes=[[128, 128], [64]], num_warps=4, num_stages=3, l2_grouping=8),
    helion.Config(block_sizes=[[128, 256], [64]], num_warps=8, num_stages=3, l2_grouping=8),
]
# The interpreter takes the same time for a tile of any size, so there the largest tiles are the fastest.
INTERPRETED = helion.Config(block_sizes=[[512, 1024], [512]])

HAS_GPU = torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"
console = Console()


def show_error() -> None:
    """Sizes that do not fit are an error with the line to look at, not a read past the end of a tensor."""
    console.rule("A mistake: 2048×2028 times 2048×2028")
    try:
        matmul(torch.randn([2048, 2028], device=DEVICE), torch.randn([2048, 2028], device=DEVICE))
    except helion.exc.TileSizeMismatch as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)


def show_call() -> None:
    """The product of real input, beside the same product in float64."""
    console.rule("The right call: 2048×2028 times 2028×2048")
    x, y = torch.randn([2048, 2028], device=DEVICE), torch.randn([2028, 2048], device=DEVICE)
    matmul.bind((x, y)).set_config(CONFIGS[0] if HAS_GPU else INTERPRETED)

    start = time.perf_counter()
    out = matmul(x, y)
    if HAS_GPU:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start

    expected = x.double() @ y.double()
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-3 * expected.abs().max().item())
    error = (out - expected).abs().max() / expected.abs().max()
    where = torch.cuda.get_device_name() if HAS_GPU else "Triton's interpreter on the CPU"
    console.print(f"{where}: {seconds:.2f} s")
    console.print(f"largest error {error:.1e}, relative to the largest value of the float64 result")


def show_code() -> None:
    """The generated Triton: a module of its own that needs torch and triton alone."""
    console.rule(f"The generated Triton for {label(CONFIGS[2])}")
    x, y = torch.empty([2048, 2028], device=DEVICE), torch.empty([2028, 2048], device=DEVICE)
    code = matmul.bind((x, y)).to_triton_code(CONFIGS[2])
    if console.is_terminal:
        console.print(Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        print(code)


def label(config: helion.Config) -> str:
    """`128×128×64 w4 s3 g8`: tile sizes, warps, pipeline stages, and the grouping of programs for the L2 cache."""
    text = f"{'×'.join(map(str, config.block_sizes))} w{config.num_warps} s{config.num_stages}"
    return f"{text} g{config.l2_groupings[0]}" if "l2_groupings" in config else text


def table(title: str, *numbers: str) -> Table:
    result = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    result.add_column("config", no_wrap=True)
    for name in numbers:
        result.add_column(name, justify="right", no_wrap=True)
    return result


def compile_table() -> None:
    """What the GPU compilers make of each config, for GPUs that need not be here."""
    console.rule("Compiled for four GPUs that are not here")
    x = torch.empty([4096, 4096], dtype=torch.bfloat16)
    bound = matmul.bind((x, x))
    result = table("bfloat16, 4096×4096×4096", "target", "regs", "spills", "shared", "matrix", "code")
    with console.status("compiling"):
        for config in CONFIGS:
            for target in COMMON:
                result.add_row(label(config) if target == COMMON[0] else "", target, *facts(bound, target, config))
            result.add_section()
    console.print(result)
    console.print("Registers and spilled bytes are per thread, shared memory is per program.")


def facts(bound: helion.BoundKernel, target: str, config: helion.Config) -> list[str]:
    """One row: what the compiler reports, or why it could not (a config may ask for more than a GPU has)."""
    try:
        found = bound.compile_for(parse_target(target), config)
    except helion.exc.CompilationFailed as error:
        return ["", "", "", escape(str(error.fields["reason"])), ""]
    counts = dict(found.matrix_instructions)
    loads = " + tma" if counts.pop("tma", 0) else ""
    matrix = ", ".join(f"{count} {name}" for name, count in counts.items()) + loads
    shared, code = f"{found.shared_memory / 1024:.0f} KiB", f"{found.code_size / 1024:.0f} KiB"
    return [str(found.registers), str(found.spills), shared, matrix, code]


def speed_table() -> None:
    """Milliseconds and TFLOP/s of each config beside torch.matmul, in turns, so that all see the same clocks."""
    from triton.testing import do_bench

    console.rule(f"Measured on {torch.cuda.get_device_name()}")
    size = 4096
    x, y = (torch.randn([size, size], device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    bound = matmul.bind((x, y))
    runs = {"torch.matmul": torch.matmul} | {label(config): bound.compile_config(config).run for config in CONFIGS}
    rounds = []
    for _ in range(3):
        rounds.append({name: do_bench(partial(run, x, y), return_mode="median") for name, run in runs.items()})
    times = {name: statistics.median(times[name] for times in rounds) for name in runs}
    result = table(f"bfloat16, {size}×{size}×{size}", "ms", "TFLOP/s", "speed against torch")
    for name, ms in times.items():
        result.add_row(name, f"{ms:.3f}", f"{2 * size**3 / ms / 1e9:.0f}", f"{times['torch.matmul'] / ms:.2f}")
    console.print(result)


def main() -> None:
    torch.manual_seed(0)
    show_error()
    show_call()
    show_code()
    if HAS_GPU:
        speed_table()
    else:
        compile_table()


if __name__ == "__main__":
    main()
