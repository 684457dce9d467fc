"""What the loader asks of the driver, and that the arguments in memory are those of the kernel."""

import ctypes
import struct
from concurrent.futures import ThreadPoolExecutor

import exported_kernels
import pytest
import torch

from helion.export import loader
from helion.runtime import interpreter
from helion.runtime.binaries.load import load_kernel
from helion.runtime.targets import parse_target

SM90 = parse_target("sm_90")
TILED = {"block_sizes": [64, 64, 32], "num_warps": 4, "num_stages": 3, "indexing": "pointer"}


def number(text):
    return int.from_bytes(bytes.fromhex(text), "little", signed=True)


def test_a_launch_as_the_driver_sees_it(tmp_path, calls):
    x, y = torch.randn(256, 128, dtype=torch.float16), torch.randn(128, 192, dtype=torch.float16)
    exported_kernels.matmul.bind((x, y)).export(tmp_path / "e", targets=["sm_90"], config=TILED)
    run = loader.load(tmp_path / "e")
    calls(8, 8, 8, 8, 8)
    out = run(x, y)
    variant = run.manifest["targets"]["sm_90"]["variants"][0]
    context, function, *attributes, launch = calls.read()
    assert context == {"call": "context", "context": 0xC0}
    assert function == {"call": "function", "name": "_helion_matmul"}
    assert [a["value"] for a in attributes] == ([variant["shared"]] if variant["shared"] > 49152 else [])
    assert launch["where"] == [12, 1, 1, 128, 1, 1] and launch["function"] == 0xF0
    assert launch["shared"] == variant["shared"] > 0 and launch["stream"] == 77
    assert list(map(number, launch["parameters"])) == [x.data_ptr(), y.data_ptr(), out.data_ptr(), 0, 0]
    assert out.shape == (256, 192) and out.dtype is torch.float16


def test_more_than_48_kib_of_shared_memory_is_asked_for(tmp_path, calls):
    x = torch.randn(256, 256, dtype=torch.float16)
    config = {"block_sizes": [128, 128, 64], "num_warps": 8, "num_stages": 3, "indexing": "pointer"}
    exported_kernels.matmul.bind((x, x)).export(tmp_path / "e", targets=["sm_90"], config=config)
    run = loader.load(tmp_path / "e")
    calls(8, 8, 8, 8, 8)
    run(x, x)
    (attribute,) = (c for c in calls.read() if c["call"] == "attribute")
    assert attribute == {"call": "attribute", "attribute": 8, "value": calls.read()[-1]["shared"]}
    assert attribute["value"] > 48 * 1024


def test_tensor_maps(tmp_path, calls):
    x, y = torch.randn(256, 128, dtype=torch.bfloat16), torch.randn(128, 192, dtype=torch.bfloat16)
    config = TILED | {"indexing": "tensor_descriptor"}
    exported_kernels.matmul.bind((x, y)).export(tmp_path / "e", targets=["sm_90"], config=config)
    run = loader.load(tmp_path / "e")
    described = [128, 4, 4, 8, 8]
    calls(8, 8, 8, *described, *described, *described, 8, 8)
    out = run(x, y)
    maps = [c for c in calls.read() if c["call"] == "map"]
    first, second, third = maps
    assert [m["address"] for m in maps] == [x.data_ptr(), y.data_ptr(), out.data_ptr()]
    assert first["sizes"] == [128, 256] and first["strides"] == [256] and first["rank"] == 2
    assert second["sizes"] == [192, 128] and third["strides"] == [384]
    assert {m["type"] for m in maps} == {9}  # CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
    assert all(m["rest"] == [1, 0, 2, 0] for m in maps)
    parameters = calls.read()[-1]["parameters"]
    assert parameters[3] == "ff" * 10 + "df" + "ff" * 117  # the bit that older drivers must not see for small tensors
    assert list(map(number, parameters[4:8])) == [256, 128, 128, 1]
    assert list(map(number, parameters[14:])) == [256, 192, 192, 1, 0, 0]


def test_tensor_maps_of_joined_dimensions(tmp_path, calls):
    x = torch.randn(3, 64, 128, dtype=torch.bfloat16)
    config = {"block_sizes": [1, 32], "indexing": "tensor_descriptor"}
    exported_kernels.doubled.bind((x,)).export(tmp_path / "e", targets=["sm_90"], config=config)
    run = loader.load(tmp_path / "e")
    described = [128, 4, 4, 8, 8]
    calls(8, 8, *described, *described, 8, 8)
    run(x)
    first, second = (c for c in calls.read() if c["call"] == "map")
    assert first["sizes"] == second["sizes"] == [128, 192] and first["strides"] == second["strides"] == [256]
    parameters = calls.read()[-1]["parameters"]
    assert list(map(number, parameters[3:7])) == list(map(number, parameters[8:12])) == [192, 128, 128, 1]
    with pytest.raises(loader.WrongArgument, match="strides"):
        run(torch.randn(3, 128, 128, dtype=torch.bfloat16)[:, :64])  # its batches do not follow each other


def test_an_unaligned_tensor_has_no_tensor_map(tmp_path, calls):
    memory = torch.randn(256 * 128 + 1, dtype=torch.bfloat16)
    x, y = memory[1:].view(256, 128), torch.randn(128, 192, dtype=torch.bfloat16)
    config = TILED | {"indexing": "tensor_descriptor"}
    exported_kernels.matmul.bind((x, y)).export(tmp_path / "e", targets=["sm_90"], config=config)
    calls(8, 8, 8, 8, 8)
    loader.load(tmp_path / "e")(x, y)
    assert [c["call"] for c in calls.read() if c["call"] == "map"] == []


def test_a_wide_number_has_no_tensor_map(tmp_path, calls):
    x = torch.randn(256, 128, dtype=torch.bfloat16)
    config = {"block_sizes": [64, 64], "indexing": "tensor_descriptor"}
    exported_kernels.rows_from.bind((x, 3)).export(tmp_path / "e", targets=["sm_90"], config=config)
    run = loader.load(tmp_path / "e")
    variants = run.manifest["targets"]["sm_90"]["variants"]
    assert [bool(v["descriptors"]) for v in variants] == [True, False, False, False]
    calls(8, 8, 8, 8, 8)
    run(x, 2**40)
    assert [c["call"] for c in calls.read() if c["call"] == "map"] == []


def test_programs_that_wait_for_each_other_are_launched_together(tmp_path, calls):
    x = torch.randn(4096)
    exported_kernels.two_stages.bind((x,)).export(tmp_path / "e", targets=["sm_90"])
    calls(8, 8, 8, 8, 8, 8)
    loader.load(tmp_path / "e")(x)
    assert calls.read()[-1]["call"] == "cooperative launch"


def test_a_launch_on_amd(tmp_path, calls, gpu):
    gpu["target"] = "gfx942"
    x, y = torch.randn(256, 128, dtype=torch.float16), torch.randn(128, 192, dtype=torch.float16)
    exported_kernels.matmul.bind((x, y)).export(tmp_path / "e", targets=["gfx942"], config=TILED)
    run = loader.load(tmp_path / "e")
    calls(8, 8, 8, 8, 8)
    out = run(x, y)
    function, launch = calls.read()  # there is no context to choose, and no shared memory to ask for
    assert function["name"] == "_helion_matmul"
    assert launch["call"] == "hip launch" and launch["where"] == [12, 1, 1, 256, 1, 1]
    assert list(map(number, launch["parameters"])) == [x.data_ptr(), y.data_ptr(), out.data_ptr(), 0, 0]
    fresh = loader.load(tmp_path / "e")
    fresh._files["gfx942/aligned.hsaco"] = b"not an ELF file"
    with pytest.raises(loader.DriverError, match=r"invalid image \(200\)"):
        fresh(x, y)


def test_numbers_are_packed_by_their_kind(tmp_path, calls):
    x = torch.randn(100)
    exported_kernels.shift.bind((x, 5, 0.5)).export(tmp_path / "e", targets=["sm_90"])
    run = loader.load(tmp_path / "e")
    kinds = [p["kind"] for p in run.manifest["targets"]["sm_90"]["parameters"]]
    assert sorted(kinds) == ["float", "int", "tensor", "tensor"]
    for offset, width in ((-7, 4), (2**31, 8), (-(2**40), 8)):
        calls(*[{"tensor": 8, "int": width, "float": 4}[k] for k in kinds], 8, 8)
        run(x, offset, scale=0.25)
        found = dict(zip(kinds, calls.read()[-1]["parameters"], strict=False))
        assert number(found["int"]) == offset
        assert struct.unpack("<f", bytes.fromhex(found["float"])) == (0.25,)


def test_code_that_the_driver_refuses(tmp_path, calls):
    x = torch.randn(64)
    exported_kernels.shift.bind((x, 5)).export(tmp_path / "e", targets=["sm_90"])
    run = loader.load(tmp_path / "e")
    run._files["sm_90/aligned.cubin"] = b"not an ELF file"
    with pytest.raises(loader.DriverError, match=r"loading the code of _helion_shift.*image is invalid \(200\)"):
        run(x, 5)


def test_without_a_driver(tmp_path, gpu, monkeypatch):
    monkeypatch.setitem(loader.LIBRARIES, "cuda", "libnowhere.so.1")
    x = torch.randn(64)
    exported_kernels.shift.bind((x, 5)).export(tmp_path / "e", targets=["sm_90"])
    with pytest.raises(loader.DriverError, match=r"libnowhere.so.1 cannot be loaded"):
        loader.load(tmp_path / "e")(x, 5)


class Interpreting:
    """A driver whose launches run the exported kernel in Triton's interpreter, on arguments read by pointer."""

    def __init__(self, kernel, parameters):
        self.kernel, self.parameters, self.variants = kernel, parameters, []
        self.elements = {}  # of tensors whose sizes were not exported

    def ensure_context(self, index):
        pass

    def load(self, image, entry, shared):
        return 1

    def launch(self, function, grid, variant, stream, block):
        self.variants.append(variant["file"])
        args = [self._read(p, at, variant) for p, at in zip(self.parameters, block.pointers, strict=False)]
        interpreter.run(self.kernel, grid, args)

    def _read(self, parameter, at, variant):
        if parameter["kind"] == "float":
            return ctypes.c_float.from_address(at).value
        if parameter["kind"] == "int":
            return (ctypes.c_int32 if variant["int_bits"] == 32 else ctypes.c_int64).from_address(at).value
        address = ctypes.c_uint64.from_address(at).value
        dtype = getattr(torch, parameter["dtype"].removeprefix("torch."))
        if None in parameter["shape"]:
            memory = (ctypes.c_byte * (self.elements[parameter["name"]] * dtype.itemsize)).from_address(address)
            return torch.frombuffer(memory, dtype=dtype)
        span = 1 + sum((n - 1) * s for n, s in zip(parameter["shape"], parameter["strides"], strict=True))
        memory = (ctypes.c_byte * (span * dtype.itemsize)).from_address(address)
        return torch.frombuffer(memory, dtype=dtype).as_strided(parameter["shape"], parameter["strides"])


@pytest.fixture
def interpreted(tmp_path, gpu, monkeypatch):
    """`interpreted(kernel, args, config)`: the export of a kernel, its launches interpreted."""

    def make(kernel, args, config=None):
        bound = kernel.bind(args)
        bound.export(tmp_path / "e", targets=["sm_90"], config=config)
        run = loader.load(tmp_path / "e")
        generated = bound.generate(config, SM90)
        jitted = load_kernel(generated.kernel_source, generated.kernel_name)
        fake = Interpreting(jitted, run.manifest["targets"]["sm_90"]["parameters"])
        monkeypatch.setattr(loader, "driver", lambda backend: fake)
        return run, fake

    return make


def test_matmul_is_right(interpreted):
    torch.manual_seed(0)
    x, y = torch.randn(70, 33, dtype=torch.float16), torch.randn(50, 33, dtype=torch.float16).t()
    run, fake = interpreted(exported_kernels.matmul, (x, y), TILED)
    exact = x.double() @ y.double()
    assert (run(x, y).double() - exact).abs().max() <= 1e-2
    assert fake.variants == ["sm_90/aligned.cubin"]


def test_softmax_is_right_and_runs_on_unaligned_tensors(interpreted):
    torch.manual_seed(0)
    memory = torch.randn(9 * 65 + 1)
    run, fake = interpreted(exported_kernels.softmax, (torch.randn(9, 65),))
    for x in (torch.randn(9, 65), memory[1:].view(9, 65), memory[:-1].view(9, 65)):
        assert (run(x).double() - torch.softmax(x.double(), 1)).abs().max() <= 1e-6
    assert fake.variants[1] == "sm_90/general.cubin"


def test_host_code_of_ones_own_runs(interpreted):
    torch.manual_seed(0)
    x = torch.randn(100)
    run, fake = interpreted(exported_kernels.shift, (x, 5, 2.0, True))
    for offset in (5, 0, 1, 2**33):
        out = run(x, offset, negate=True)
        assert out.shape == (102,) and (out[100:] == 0).all()
        torch.testing.assert_close(out[:100], x * -2 + offset)
    assert fake.variants[-1] == "sm_90/aligned_int64.cubin"


def test_lists_of_tensors(interpreted):
    xs = [torch.randn(40), torch.randn(40)]
    run, _ = interpreted(exported_kernels.sum_of_list, (xs,))
    torch.testing.assert_close(run(xs), xs[0] + xs[1])


def test_conditions_on_numbers_are_checked(interpreted):
    x = torch.randn(40)
    run, _ = interpreted(exported_kernels.conditional, (x, 7))
    torch.testing.assert_close(run(x, 9), x * 2 + 9)
    with pytest.raises(loader.WrongArgument, match=r"exported for calls with .*n"):
        run(x, 3)


def test_an_export_for_many_sizes(interpreted):
    torch.manual_seed(0)
    config = {"block_sizes": [32, 32, 32], "indexing": "pointer", "pid_type": "flat"}
    run, fake = interpreted(exported_kernels.dynamic_matmul, (torch.randn(64, 33), torch.randn(33, 50)), config)
    for m, k, n in ((64, 33, 50), (5, 40, 33), (1, 1, 1), (33, 2, 70)):
        x, y = torch.randn(m, k), torch.randn(k, n)
        fake.elements = {"x": m * k, "y": k * n, "out": m * n}
        assert (run(x, y).double() - x.double() @ y.double()).abs().max() <= 1e-5 * k
    assert run(torch.randn(0, 7), torch.randn(7, 5)).shape == (0, 5)
    with pytest.raises(loader.WrongArgument, match=r"exported for calls with x.is_contiguous\(\)"):
        run(torch.randn(8, 8)[:, :4], torch.randn(4, 5))
    with pytest.raises(loader.WrongArgument, match=r"x.size\(1\) == y.size\(0\)"):
        run(torch.randn(8, 4), torch.randn(5, 5))
    with pytest.raises(loader.WrongArgument, match="`x` must have shape"):
        run(torch.randn(4), torch.randn(4, 5))


def test_many_threads_load_the_code_once(tmp_path, calls):
    x = torch.randn(256)
    exported_kernels.shift.bind((x, 5)).export(tmp_path / "e", targets=["sm_90"])
    run = loader.load(tmp_path / "e")
    calls(8, 8, 4, 4, 8, 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: run(x, k), range(64)))
    found = [c["call"] for c in calls.read()]
    assert found.count("function") == 1 and found.count("launch") == 64
