"""What the compiler makes of the attention kernels for an H100: waits that cost a third of the speed show there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
import triton

from helion.runtime.targets import parse_target
from helion_kernels.flash.backward import attention_dkdv, attention_dq
from helion_kernels.flash.forward import attention_forward
from helion_kernels.frame import choice
from helion_kernels.testing import specialised

TARGET = parse_target("sm_90")
NVDISASM = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"


def arguments(kernel):
    q, k, v = (torch.empty(1, 2, 4096, 128, dtype=torch.bfloat16, device="meta") for _ in range(3))
    logs = torch.empty(1, 2, 4096, device="meta")
    band = (-1, 0)
    if kernel is attention_forward:
        return q, k, v, None, 0.1, band
    return q, k, v, q, None, logs, logs, 0.1, band, False


@pytest.mark.skipif(not NVDISASM.exists(), reason="this Triton brings no disassembler")
@pytest.mark.parametrize("kernel", [attention_forward, attention_dq], ids=lambda kernel: kernel.kernels[0].name)
def test_causal_products_are_not_waited_for_one_by_one(kernel, tmp_path) -> None:
    """ptxas C7515: where it serialises them there is a WARPGROUP.DEPBAR for every HGMMA. 128 rows, 64 keys."""
    bound = kernel.kernels[0].bind(arguments(kernel))
    sizes = [64, 64, 128] if kernel is attention_forward else [64, 128]
    config = bound.default_config(TARGET).replace(block_sizes=sizes, num_warps=4, num_stages=2)
    products, waits = waited(bound, config, tmp_path)
    assert products >= 40 and waits * 4 < products


@pytest.mark.skipif(not NVDISASM.exists(), reason="this Triton brings no disassembler")
@pytest.mark.parametrize("shape", [(8, 32, 8, 8192, 128), (8, 32, 32, 8192, 128)], ids=["shared", "own"])
def test_nor_are_those_of_packed_sequences(shape, tmp_path) -> None:
    """Rows in shared memory, where descriptors put them: in registers they leave too few for products on their way."""
    for made in specialised("attention_varlen", shape, torch.bfloat16):
        if made.bound.kernel.name == "attention_delta":
            continue
        products, waits = waited(made.bound, made.config(TARGET), tmp_path)
        assert products >= 24 and waits * 4 < products, made.bound.kernel.name


@pytest.mark.skipif(not NVDISASM.exists(), reason="this Triton brings no disassembler")
@pytest.mark.parametrize("head", [64, 128])
@pytest.mark.parametrize("groups", [2, 8])
@pytest.mark.parametrize(("length", "band"), [(4096, (-1, 0)), (3000, (-1, 0)), (4096, (500, 0)), (4096, (500, -1))])
def test_nor_are_those_of_keys_whose_first_tile_is_cut(length, band, groups, head, tmp_path) -> None:
    q = torch.empty(1, 8, length, head, dtype=torch.bfloat16, device="meta")
    k, logs = q[:, :groups], torch.empty(1, 8, length, device="meta")
    args = (q, k, k, q, None, logs, logs, 0.1, band)
    bound = attention_dkdv.kernels[0].bind(args)
    products, waits = waited(bound, choice.default(bound, args, TARGET), tmp_path)
    assert products >= 32 and waits * 4 < products


@pytest.mark.parametrize("head", [96, 128])
@pytest.mark.parametrize(("length", "band"), [(4096, (-1, -1)), (3000, (-1, -1)), (2500, (-1, -1)), (4000, (-1, -1)),
                                              (4096, (-1, 0)), (3000, (-1, 0)), (4096, (500, 0))])  # fmt: skip
def test_wide_heads_leave_room_for_three_programs(head, length, band) -> None:
    q = torch.empty(1, 2, length, head, dtype=torch.bfloat16)
    args = (q, q, q, None, 0.1, band)
    bound = attention_forward.kernels[0].bind(args)
    config = choice.default(bound, args, TARGET)
    facts = bound.compile_for(TARGET, config)
    assert facts.spills == 0 and facts.registers <= 168 and config.num_warps == 4
    assert config.block_sizes == (128, 32 if length in (3000, 4000) and band == (-1, -1) else 64, 64)
    assert config.pid_type == ("xyz" if band == (-1, -1) else "flat")


@pytest.mark.parametrize("right", [-1, 0])
def test_narrow_heads_leave_room_for_a_pipeline_too(right) -> None:
    q = torch.empty(1, 2, 4096, 64, dtype=torch.bfloat16)
    args = (q, q, q, None, 0.1, (-1, right))
    bound = attention_forward.kernels[0].bind(args)
    config = choice.default(bound, args, TARGET)
    facts = bound.compile_for(TARGET, config)
    assert facts.spills == 0 and facts.registers <= 168 and 3 * facts.shared_memory <= TARGET.shared_memory
    assert config.block_sizes == (128, 64, 64) and config.num_stages == 2
    assert config.pid_type == ("xyz" if right < 0 else "flat")


def test_keys_are_one_matrix_and_weights_are_rounded_before_values_are_loaded() -> None:
    bound = attention_forward.kernels[0].bind(arguments(attention_forward))
    config = bound.default_config(TARGET).replace(block_sizes=[128, 64, 64], num_warps=4, num_stages=1)
    dims = {d.tensor.name: d.dims for d in bound.generate(config, TARGET).descriptors}
    assert dims["k"] == dims["v"] == ((1, 2), (3,))  # the batch is of one
    loop = bound.to_triton_code(config).split("in tl.range(")[1]
    assert 0 < loop.index(".to(tl.bfloat16)") < loop.index("v_desc.load")


def waited(bound, config, folder):
    """How many products the machine code has, and how many waits for them."""
    compiled = bound._compile(bound.generate(config, TARGET), TARGET)
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    code = subprocess.run([NVDISASM, "-c", cubin], capture_output=True, text=True, check=True).stdout
    return code.count("HGMMA"), code.count("WARPGROUP.DEPBAR")
