"""Calls of an exported kernel that do not fit what was exported."""

import exported_kernels
import pytest
import torch

from helion.export import loader

X = torch.zeros(256)


@pytest.fixture(scope="module")
def shift(tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "shift"
    return loader.load(exported_kernels.shift.bind((X, 5)).export(path, targets=["sm_80", "sm_90"]))


@pytest.mark.parametrize(
    ("args", "keywords", "message"),
    [
        ((X.half(), 5), {}, "`x` must have dtype torch.float32, not torch.float16"),
        ((X[:-1], 5), {}, r"`x` must have shape \[256\] and strides \[1\], not \[255\] and \[1\]"),
        ((torch.zeros(512)[::2], 5), {}, r"must have .* strides \[1\], not \[256\] and \[2\]"),
        ((X.view(16, 16), 5), {}, r"not \[16, 16\]"),
        (([1.0], 5), {}, r"`x` must be a tensor, not \[1.0\]"),
        ((X, 5.0), {}, "`offset` must be a int, not 5.0"),
        ((X, True), {}, "`offset` must be a int, not True"),
        ((X, 5, 2), {}, "`scale` must be a float, not 2"),
        ((X, 5), {"negate": True}, "`negate` was exported as False, not True"),
        ((X,), {}, "missing a required argument: 'offset'"),
        ((X, 5), {"size": 1}, "unexpected keyword argument 'size'"),
        ((X, 5, 2.0, False, 1), {}, "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit(shift, gpu, args, keywords, message):
    with pytest.raises(loader.WrongArgument, match=message):
        shift(*args, **keywords)


def test_tensors_must_be_on_a_gpu(shift):
    with pytest.raises(loader.WrongArgument, match="exported kernels run on a GPU; a tensor is on cpu"):
        shift(X, 5)


def test_tensors_must_be_on_one_gpu(gpu, monkeypatch, tmp_path):
    path = exported_kernels.matmul.bind((torch.zeros(16, 16), torch.zeros(16, 16))).export(
        tmp_path / "e", targets=["sm_90"]
    )
    devices = iter([0, 0, 1, 0])
    monkeypatch.setattr(loader, "device_index", lambda tensor: next(devices))
    with pytest.raises(loader.WrongArgument, match="`y` is on cpu, other arguments are on cpu"):
        loader.load(path)(torch.zeros(16, 16), torch.zeros(16, 16))


def test_lists_must_have_their_length(gpu, tmp_path):
    run = loader.load(exported_kernels.sum_of_list.bind(([X, X],)).export(tmp_path / "e", targets=["sm_90"]))
    with pytest.raises(loader.WrongArgument, match="`xs` must be a list of 2"):
        run([X])
    with pytest.raises(loader.WrongArgument, match="`xs` must be a list of 2"):
        run((X, X))
    with pytest.raises(loader.WrongArgument, match=r"`xs\[1\]` must have shape"):
        run([X, X[1:]])


def test_the_gpu_must_be_one_that_was_exported_for(shift, gpu):
    gpu["target"] = "sm_100"
    with pytest.raises(loader.NoTarget, match="this GPU is sm_100, but the kernel was exported for sm_80, sm_90 only"):
        shift(X, 5)


@pytest.mark.parametrize(
    ("found", "exported", "chosen"),
    [("sm_90", ["sm_80", "sm_90"], "sm_90"), ("sm_89", ["sm_80", "sm_86"], "sm_86"), ("gfx942", ["gfx942"], "gfx942")],
)
def test_the_target_of_a_gpu(found, exported, chosen):
    assert loader.choose_target(found, exported) == chosen


@pytest.mark.parametrize(("found", "exported"), [("sm_80", ["sm_86"]), ("sm_100", ["sm_90"]), ("gfx950", ["gfx942"])])
def test_code_that_a_gpu_cannot_run_is_not_chosen(found, exported):
    with pytest.raises(loader.NoTarget):
        loader.choose_target(found, exported)


def test_strides_of_dimensions_of_size_one_do_not_matter():
    assert loader.fits([1, 8], [8, 1], torch.zeros(2, 8)[:1].as_strided((1, 8), (3, 1)))
    assert not loader.fits([2, 8], [8, 1], torch.zeros(16).as_strided((2, 8), (7, 1)))
    assert loader.fits([None, 8], [None, 1], torch.zeros(5, 8))


def test_an_empty_grid_launches_nothing(gpu, tmp_path):
    run = loader.load(exported_kernels.shift.bind((torch.zeros(0), 5)).export(tmp_path / "e", targets=["sm_90"]))
    target = run.manifest["targets"]["sm_90"]
    launcher = object.__new__(loader.Launcher)
    launcher._target = target
    assert launcher(None, (0,), torch.zeros(0)) is None
