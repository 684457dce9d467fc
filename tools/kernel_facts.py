"""What the compiler makes of helion-kernels with default configs: registers, spills, shared memory, code size.

python tools/kernel_facts.py --ops softmax,rms_norm --target sm_90

Needs no GPU. One line for every kernel that an operation's sample calls launch, at each of its typical shapes.
"""

from __future__ import annotations

import argparse

import torch

import helion_kernels
from helion.runtime.targets import parse_target
from helion_kernels.frame.samples import module_of
from helion_kernels.testing import specialised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", default=",".join(dict.fromkeys(helion_kernels.OPS.values())))
    parser.add_argument("--target", default="sm_90")
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    target = parse_target(options.target)
    dtype = getattr(torch, options.dtype)
    print(f"{'kernel':32} {'shape':>20}  regs spills  shared   code  config")
    for op in options.ops.split(","):
        for shape in module_of(op).SHAPES:
            for made in specialised(op, shape, dtype):
                bound, config = made.bound, made.config(target)
                facts = bound.compile_for(target, config)
                print(
                    f"{bound.kernel.name:32} {'x'.join(map(str, shape)):>20}  {facts.registers:4} {facts.spills:6}  "
                    f"{facts.shared_memory:6} {facts.code_size:6}  blocks {list(config.get('block_sizes', ()))}, "
                    f"{config.num_warps} warps, loops {list(config.get('reduction_loops', ()))}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
