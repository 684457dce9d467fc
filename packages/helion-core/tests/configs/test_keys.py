"""Every key of a config, one at a time: results through the interpreter on odd sizes, and the text it changes."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import COMMON, parse_target

sys.path.insert(0, str(Path(__file__).parent))
import fuzz
import kernels
from kernels import CASES, Case

BY_NAME: dict[str, Case] = {}
for _case in CASES:
    BY_NAME.setdefault(_case.name, _case)


def check(name: str, dtype: torch.dtype = torch.float32, **config: Any) -> str:
    """Runs kernel `name` under `config` against its reference; returns the kernel's source."""
    case = BY_NAME[name]
    bound = case.kernel.bind(case.make(0, dtype))
    normal = bound.config_spec.normalize(helion.Config(**config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = fuzz.failure(fuzz.Trial(case, dtype, 0, normal))
    assert problem is None, problem
    return bound.generate(normal).kernel_source


@pytest.mark.parametrize("sizes", [[16, 16, 16], [64, 32, 16], [16, 128, 128]])
def test_block_sizes(sizes):
    check("matmul", block_sizes=sizes)


def test_blocks_of_one_leave_no_trace():
    source = check("attention", block_sizes=[1, 16, 16])
    assert "None, None" not in source and "tl.reshape" not in source  # products are 2-D from the load on


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("group", [1, 2, 64])
def test_loop_orders_and_groupings(order, group):
    check("batched", block_sizes=[1, 16, 16, 16], loop_orders=[order], l2_groupings=[group])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_orders_of_nested_loops(order):
    source = check("nested", block_sizes=[4, 8, 16], loop_orders=[order])
    loops = [line.split()[1] for line in source.splitlines() if line.strip().startswith("for ")]
    assert loops == [("offset_a", "offset_b")[d] for d in order]


@pytest.mark.parametrize("name", ["add", "transpose", "in_place"])
@pytest.mark.parametrize("sizes", [[1, 32], [4, 16]])
def test_flatten_loops(name, sizes):
    source = check(name, block_sizes=sizes, flatten_loops=[True])
    assert "offset_flat" in source


def test_loops_that_reduce_are_not_flattened():
    assert (
        "flatten_loops" not in BY_NAME["matmul"].kernel.bind(BY_NAME["matmul"].make(0, torch.float32)).config_spec.lists
    )


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "extremes"])
@pytest.mark.parametrize("width", [None, 16, 32])
def test_reduction_loops(name, width):
    source = check(name, block_sizes=[2], reduction_loops=[width])
    assert ("for offset_dim" in source) == (width is not None)


@helion.kernel()
def _in_place_softmax(x):
    for tile in hl.tile(x.size(0)):
        x[tile, :] = torch.softmax(x[tile, :], 1)
    return x


def test_rows_that_are_overwritten_are_not_rolled():
    assert "reduction_loops" not in _in_place_softmax.bind((torch.zeros(4, 40),)).config_spec.lists


@pytest.mark.parametrize("indexing", ["pointer", "block_ptr", "tensor_descriptor"])
@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_indexing(name, indexing):
    check(name, indexing=indexing)


@helion.kernel()
def _above_and_below(x):
    out = torch.empty_like(x)
    for a, b in hl.tile(x.size()):
        out[a, b] = x[a - 1, b] + 2 * x[a + 1, b]
    return out


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("indexing", ["pointer", "block_ptr", "tensor_descriptor"])
@pytest.mark.parametrize("sizes", [[1, 32], [4, 32]])
def test_shifted_tiles_outside_the_tensor_are_zero(sizes, indexing, rows):
    whole = torch.full([rows + 4, 40], 1e9)
    x = whole[2 : rows + 2].copy_(torch.randn(rows, 40))  # what lies around it in memory is not part of it
    padded = torch.nn.functional.pad(x, (0, 0, 1, 1))
    config = helion.Config(block_sizes=sizes, indexing=indexing)
    found = _above_and_below.bind((x,)).compile_config(config).run(x)
    torch.testing.assert_close(found, padded[:-2] + 2 * padded[2:])


@pytest.mark.parametrize("width", [1, 8, 12])
@pytest.mark.parametrize("indexing", ["pointer", "block_ptr", "tensor_descriptor"])
def test_products_of_tiles_that_are_narrower_than_their_lanes(indexing, width):
    @helion.kernel
    def product(x, y):
        out = torch.empty([x.size(0), y.size(1)], dtype=torch.float32, device=x.device)
        for a, b in hl.tile(out.size()):
            acc = hl.zeros([a, b], dtype=torch.float32)
            for c in hl.tile(x.size(1), block_size=width):
                acc = torch.addmm(acc, x[a, c], y[c, b])
            out[a, b] = acc
        return out

    torch.manual_seed(width)
    x, y = torch.randn(32, 24), torch.randn(24, 32)
    config = helion.Config(block_sizes=[16, 16], indexing=indexing)
    found = product.bind((x, y)).compile_config(config).run(x, y)
    torch.testing.assert_close(found.double(), x.double() @ y.double(), atol=1e-4, rtol=1e-4)


def test_indexing_of_each_access():
    source = check("matmul", indexing=["tensor_descriptor", "pointer", "tensor_descriptor"], block_sizes=[16, 32, 16])
    assert "x_desc.load" in source and "tl.load(y" in source and "out_desc.store" in source


def test_tiles_that_end_inside_the_tensor_are_masked():
    source = check("partial", indexing="tensor_descriptor", block_sizes=[8, 16])
    assert "tl.store" in source  # the store clips at the tile, not at the tensor


@pytest.mark.parametrize("pid_type", ["flat", "xyz", "persistent_blocked", "persistent_interleaved"])
@pytest.mark.parametrize("multiplier", [1, 4])
def test_pid_types(pid_type, multiplier):
    check("batched", block_sizes=[1, 16, 16, 16], pid_type=pid_type, num_sm_multiplier=multiplier)


@pytest.mark.parametrize("pid_type", ["persistent_blocked", "persistent_interleaved"])
def test_several_loops_persist(pid_type):
    check("side_by_side", block_sizes=[16, 4, 8], pid_type=pid_type)


def test_reserved_multiprocessors():
    @helion.kernel(persistent_reserved_sms=3)
    def double(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out

    config = helion.Config(block_sizes=[8], pid_type="persistent_interleaved", num_sm_multiplier=2)
    x = torch.randn(100)
    bound = double.bind((x,))
    assert "max(1, _multiprocessors(x) - 3) * 2" in bound.to_triton_code(config)
    torch.testing.assert_close(bound.compile_config(config).run(x), x * 2)


RANGE_OPTIONS = {
    "range_unroll_factors": (3, "loop_unroll_factor=3"),
    "range_num_stages": (4, "num_stages=4"),
    "range_multi_buffers": (False, "disallow_acc_multi_buffer=True"),
    "range_flattens": (True, "flatten=True"),
    "range_warp_specializes": (True, "warp_specialize=True"),
    "static_ranges": (True, "tl.static_range(0, 72, BLOCK_K)"),
}


@pytest.mark.parametrize("key", RANGE_OPTIONS)
def test_options_of_loops(key):
    value, text = RANGE_OPTIONS[key]
    assert text not in check("matmul")
    assert text in check("matmul", **{key: [value]})


def test_long_loops_are_not_unrolled():
    assert "tl.static_range" not in check("column_sum", block_sizes=[32, 1], static_ranges=[True])


@pytest.mark.parametrize("policy", ["first", "last"])
def test_load_eviction_policies(policy):
    source = check("add", load_eviction_policies=[policy, ""])
    assert source.count(f"eviction_policy='evict_{policy}'") == 1


@pytest.mark.parametrize("name", ["matmul", "matmul_bias_relu"])
@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("indexing", ["pointer", "tensor_descriptor"])
def test_epilogue_subtile(name, parts, indexing):
    source = check(name, block_sizes=[16, 64, 16], epilogue_subtile=parts, indexing=indexing)
    assert source.count("store(") == parts


def test_registers_are_capped_for_persistent_programs_only():
    case = BY_NAME["add"]
    bound = case.kernel.bind(case.make(0, torch.float32))
    options = [
        bound.generate(helion.Config(pid_type=pid_type, maxnreg=128)).options
        for pid_type in ("flat", "persistent_blocked")
    ]
    assert "maxnreg" not in options[0] and options[1]["maxnreg"] == 128


# --- tunables


@helion.kernel()
def _repeated(x):
    steps = hl.register_tunable("steps", hl.PowerOfTwoFragment(1, 8, 2))
    mode = hl.register_tunable("mode", hl.EnumFragment(["plain", "double"]))
    out = torch.empty([steps, x.size(0)], dtype=x.dtype, device=x.device)
    for tile in hl.tile(x.size(0)):
        value = x[tile]
        for _ in hl.static_range(2):
            value = value * (2 if mode == "double" else 1) + steps
        for _ in range(steps):
            out[0, tile] = value
    return out


@pytest.mark.parametrize("mode", ["plain", "double"])
def test_tunables_are_constants_on_host_and_device(mode):
    x = torch.randn(20)
    bound = _repeated.bind((x,))
    found = bound.compile_config(helion.Config(mode=mode)).run(x)
    factor = 2 if mode == "double" else 1
    assert found.shape == (2, 20)
    torch.testing.assert_close(found[0], (x * factor + 2) * factor + 2)


def test_tunables_are_in_the_space():
    spec = _repeated.bind((torch.randn(20),)).config_spec
    assert spec.scalars["steps"].choices == (1, 2, 4, 8) and spec.default()["mode"] == "plain"
    with pytest.raises(exc.InvalidConfig, match=r"steps.*3 is not legal"):
        spec.normalize(helion.Config(steps=3))


def test_tunables_that_change_the_kernel_itself_are_refused():
    with pytest.raises(exc.InvalidConfig, match="other loops or accesses"):
        _repeated.bind((torch.randn(20),)).generate(helion.Config(steps=4))


# --- every target


CROSS = {
    "persistent": {"pid_type": "persistent_interleaved", "l2_groupings": [4]},
    "xyz": {"pid_type": "xyz"},
    "blocked": {"pid_type": "persistent_blocked", "num_sm_multiplier": 2, "range_flattens": [True]},
    "range": {"range_num_stages": [3], "range_unroll_factors": [2], "range_multi_buffers": [False]},
    "subtile": {"epilogue_subtile": 2, "block_sizes": [64, 64, 32]},
}


@pytest.mark.parametrize("target", COMMON)
@pytest.mark.parametrize("config", CROSS, ids=list(CROSS))
def test_matmul_compiles(target, config):
    case = BY_NAME["matmul"]
    case.kernel.bind(case.make(0, torch.bfloat16)).compile_for(parse_target(target), helion.Config(**CROSS[config]))


@pytest.mark.parametrize("target", COMMON)
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in ("matmul",)])
def test_defaults_compile(target, name):
    case = BY_NAME[name]
    case.kernel.bind(case.make(0, case.dtypes[-1])).compile_for(parse_target(target))


@pytest.mark.parametrize("target", ["sm_90", "sm_100"])
def test_descriptors_use_the_tma_unit(target):
    case = BY_NAME["matmul"]
    config = helion.Config(block_sizes=[64, 64, 32], indexing="tensor_descriptor")
    facts = case.kernel.bind(case.make(0, torch.bfloat16)).compile_for(parse_target(target), config)
    assert facts.matrix_instructions["tma"] > 0


# --- golden files


GOLDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "matmul_descriptor_grouped": (
        "matmul", {"indexing": "tensor_descriptor", "l2_groupings": [4], "block_sizes": [16, 32, 16]},
    ),
    "matmul_persistent_subtile": (
        "matmul", {"pid_type": "persistent_interleaved", "epilogue_subtile": 2, "block_sizes": [16, 64, 16]},
    ),
    "matmul_block_ptr": ("matmul", {"indexing": "block_ptr", "block_sizes": [16, 32, 16]}),
    "attention": ("attention", {"block_sizes": [1, 32, 16]}),
    "softmax_rolled": ("softmax", {"block_sizes": [1], "reduction_loops": [32]}),
    "layer_norm": ("layer_norm", {"block_sizes": [1]}),
    "extremes_rolled": ("extremes", {"block_sizes": [2], "reduction_loops": [16]}),
    "add_flat": ("add", {"block_sizes": [4, 16], "flatten_loops": [True]}),
    "transpose_flat": ("transpose", {"block_sizes": [4, 16], "flatten_loops": [True]}),
    "batched_xyz": ("batched", {"block_sizes": [1, 16, 16, 16], "pid_type": "xyz"}),
    "jagged": ("jagged", {"block_sizes": [16]}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_source(name, golden):
    kernel, config = GOLDEN[name]
    if config.get("indexing") == "block_ptr" and not kernels.has_block_pointers():
        pytest.skip("this Triton has no block pointers")
    case = BY_NAME[kernel]
    golden(f"{name}.py", case.kernel.bind(case.make(0, torch.float32)).generate(helion.Config(**config)).kernel_source)


@pytest.mark.parametrize(("block", "moved"), [([8, 1], False), ([4, 4], False), ([8, 4], True), ([32, 1], True)])
def test_blocks_of_descriptors_fill_whole_lines_of_shared_memory(block, moved):
    """Buffers of a pipeline lie side by side, and the TMA unit writes to multiples of 128 bytes only."""

    @helion.kernel
    def column_sums(x):
        out = torch.empty([x.size(1)], dtype=torch.float32, device=x.device)
        for tile_n in hl.tile(x.size(1)):
            total = hl.zeros([tile_n], dtype=torch.float32)
            for tile_m in hl.tile(x.size(0)):
                total += x[tile_m, tile_n].sum(0)
            out[tile_n] = total
        return out

    bound = column_sums.bind((torch.empty(64, 128),))
    config = helion.Config(**{**dict(bound.default_config()), "block_sizes": block, "indexing": "tensor_descriptor"})
    assert ("x_desc.load" in bound.to_triton_code(config)) is moved


@helion.kernel()
def between(x, bounds):
    out = torch.zeros_like(x)
    for i in hl.grid(bounds.size(0) - 1):
        for tile in hl.tile(bounds[i], bounds[i + 1]):
            out[tile, :] = x[tile, :] + i
    return out


@pytest.mark.parametrize("indexing", ["pointer", "block_ptr", "tensor_descriptor"])
def test_blocks_begin_at_numbers_of_64_bits(indexing):
    x, bounds = torch.randn(37, 16), torch.tensor([0, 5, 20, 20, 37])
    bound = between.bind((x, bounds))
    config = {"block_sizes": [16], "indexing": [indexing if key.legal(indexing) else "pointer"
                                                for key in bound.config_spec.lists["indexing"]]}  # fmt: skip
    expected = x + torch.repeat_interleave(torch.arange(4), bounds.diff())[:, None]
    torch.testing.assert_close(bound.compile_config(config).run(x, bounds), expected)
    assert bound.compile_for("sm_90", config).code_size > 0


def test_blocks_of_more_than_32_bits_are_left_to_pointers():
    @helion.kernel(config={"block_sizes": [1024], "indexing": "block_ptr"})
    def clear(x):
        for tile in hl.tile(x.size(0)):
            x[tile] = 0

    assert "block_ptr(" not in clear.bind((torch.empty(2**31 + 5000, dtype=torch.int8),)).to_triton_code()
