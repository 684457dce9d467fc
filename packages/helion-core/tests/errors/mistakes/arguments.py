"""Arguments that a kernel does not take."""

import io

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import helion
import helion.language as hl
from helion import exc

from .record import V, X, mistake


@helion.kernel(autotune_effort="none")
def double(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


@helion.kernel(autotune_effort="none")
def scaled(x, scale):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(exc.WrongArguments, "double()", "`double`", "'x'", "double(x)", script=True)
def missing_argument():
    double()


@mistake(exc.WrongArguments, "double(V, V)", "`double`", "too many", script=True)
def one_argument_too_many():
    double(V, V)


@mistake(exc.WrongArguments, "double(V, scale=2)", "`double`", "'scale'", script=True)
def unknown_keyword():
    double(V, scale=2)


@mistake(exc.WrongArguments, "scaled.bind(V)", "tuple", "bind((", script=True)
def bind_without_a_tuple():
    scaled.bind(V)


@mistake(exc.NoTensorArgs, "scaled(1.0, 2.0)", "`scaled`", "tensor", script=True)
def no_tensors():
    scaled(1.0, 2.0)


@mistake(exc.NoTensorArgs, "double(None)", "`double`", script=True)
def none_for_a_tensor():
    double(None)


@mistake(exc.UnsupportedArgument, "scaled(V, {1.0})", "`scale`", "set", script=True)
def a_set():
    scaled(V, {1.0})


@mistake(
    exc.UnsupportedArgument, "scaled(V, np.zeros(64))", "`scale`", "numpy.ndarray", "torch.from_numpy", script=True
)
def a_numpy_array():
    scaled(V, np.zeros(64))


@mistake(exc.TracingFailed, "x[tile] * scale", "StringIO", args=(V, io.StringIO("2")))
def file_multiplied(x, scale):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(exc.UnsupportedArgument, "scaled(V, (n for n in [1]))", "`scale`", "generator", script=True)
def a_generator():
    scaled(V, (n for n in [1]))


@mistake(exc.UnsupportedArgument, "scaled(V, 2j)", "`scale`", "complex", script=True)
def a_complex_number():
    scaled(V, 2j)


@mistake(exc.UnsupportedArgument, 'scaled(V, b"2")', "`scale`", "bytes", script=True)
def bytes_argument():
    scaled(V, b"2")


@mistake(exc.UnsupportedArgument, "scaled(V, [1.0, {2.0}])", "`scale`", "set", script=True)
def a_set_in_a_list():
    scaled(V, [1.0, {2.0}])


@mistake(exc.DeviceMismatch, 'scaled(V, torch.zeros(64, device="meta"))', "cpu", "meta", script=True)
def tensors_on_different_devices():
    scaled(V, torch.zeros(64, device="meta"))


@mistake(exc.UnsupportedDevice, 'double(torch.zeros(64, device="xpu"))', "xpu", script=True)
def device_without_kernels():
    with FakeTensorMode():  # there need be none
        double(torch.zeros(64, device="xpu"))


@mistake(exc.UnsupportedTensor, "double(V.to_sparse())", "`x`", "sparse", ".to_dense()", script=True)
def sparse_tensor():
    double(V.to_sparse())


@mistake(exc.UnsupportedTensor, "x[tile]", "`x`", "complex64", "torch.view_as_real", args=(V.to(torch.complex64),))
def complex_tensor(x):
    out = x.new_empty([x.size(0)], dtype=torch.float32)
    for tile in hl.tile(x.size(0)):
        out[tile] = abs(x[tile])
    return out


@mistake(
    exc.UnsupportedTensor,
    "double(torch.quantize_per_tensor(V, 0.1, 0, torch.qint8))",
    "`x`",
    "qint8",
    "dequantize",
    script=True,
)
def quantised_tensor():
    double(torch.quantize_per_tensor(V, 0.1, 0, torch.qint8))


@mistake(exc.UnsupportedTensor, "double(torch.nested.nested_tensor([V, V]))", "`x`", "nested", script=True)
def nested_tensor():
    double(torch.nested.nested_tensor([V, V]))


@mistake(exc.DeviceValueAsPython, "x[tile] * scale", "int", args=(V, "two"))
def string_multiplied(x, scale):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(exc.TracingFailed, "x[tile] * scale", "NoneType", args=(V, None))
def none_multiplied(x, scale):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(AttributeError, "x.size(0)", "size", args=([X],))
def list_where_a_tensor_was_meant(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x
