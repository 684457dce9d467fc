"""Dtypes that do not fit, operators that a kernel does not have, and arguments they do not take."""

import numpy as np
import torch

import helion.language as hl
from helion import exc

from .record import HALF, MASK, N, V, X, mistake


@mistake(exc.DtypeMismatch, "x[tile, :] @ y[:, :]", "float16", "float32", ".to(", args=(HALF, X))
def matmul_of_mixed_dtypes(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] @ y[:, :]
    return out


@mistake(exc.DtypeMismatch, "x[tile].mean()", "mean", "int64", ".to(torch.float32)", args=(N,))
def mean_of_integers(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = x[tile].mean()
    return out


@mistake(exc.DtypeMismatch, "x[tile] & 1", "bitwise_and", args=(V,))
def bitwise_and_of_floats(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] & 1
    return out


@mistake(exc.TracingFailed, "~x[tile]", "integer", args=(V,))
def invert_of_floats(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = ~x[tile]
    return out


@mistake(exc.DtypeMismatch, "-x[tile]", "bool", args=(MASK,))
def negation_of_a_mask(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = -x[tile]
    return out


@mistake(exc.DtypeMismatch, "x[tile] << 2", args=(V,))
def shift_of_floats(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] << 2
    return out


@mistake(exc.DtypeMismatch, "torch.where(x[tile], 1.0, 0.0)", "where", args=(V,))
def where_with_a_float_condition(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.where(x[tile], 1.0, 0.0)
    return out


@mistake(exc.DtypeMismatch, "hl.atomic_and(x, [tile], 1)", "atomic_and", "float32", "int32", args=(V,))
def bitwise_atomic_on_floats(x):
    for tile in hl.tile(x.size(0)):
        hl.atomic_and(x, [tile], 1)
    return x


@mistake(exc.DtypeMismatch, "x[tile].to(torch.complex64)", "complex64", args=(V,))
def cast_to_complex(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].to(torch.complex64).abs()
    return out


@mistake(exc.DtypeMismatch, "x[tile] * 1j", "complex", args=(V,))
def arithmetic_with_a_complex_number(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 1j
    return out


@mistake(exc.DtypeMismatch, 'hl.zeros([tile], dtype="float32")', "float32", "torch.float32", args=(V,))
def dtype_given_as_a_string(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.zeros([tile], dtype="float32")
    return out


@mistake(exc.TracingFailed, 'x[tile].to("float16")', "float16", args=(V,))
def cast_to_a_string(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].to("float16")
    return out


@mistake(exc.DataDependentShape, "torch.nonzero(x[tile])", "nonzero", "torch.where", args=(V,))
def nonzero(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.nonzero(x[tile]).sum()
    return out


@mistake(exc.DataDependentShape, "torch.masked_select(x[tile], x[tile] > 0)", "masked_select", args=(V,))
def masked_select(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.masked_select(x[tile], x[tile] > 0).sum()
    return out


@mistake(exc.DataDependentShape, "torch.unique(x[tile])", "unique", args=(V,))
def unique(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.unique(x[tile]).sum()
    return out


@mistake(exc.DataDependentShape, "v[v > 0]", "boolean mask", "torch.where", args=(V,))
def boolean_mask_on_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = v[v > 0].sum()
    return out


@mistake(exc.DataDependentShape, "torch.repeat_interleave(x[tile], n[tile])", "repeat_interleave", args=(V, N))
def repeat_by_counts_on_the_device(x, n):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.repeat_interleave(x[tile], n[tile]).sum()
    return out


@mistake(exc.DataDependentShape, "torch.where(x[tile] > 0)", "where", args=(V,))
def where_with_one_argument(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        (i,) = torch.where(x[tile] > 0)
        out[tile] = i.sum()
    return out


@mistake(exc.UnsupportedOperation, "torch.linalg.inv(x[tile, :])", "linalg_inv", "host")
def matrix_inverse(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.linalg.inv(x[tile, :])
    return out


@mistake(exc.UnsupportedOperation, "torch.linalg.svd(x[tile, :])", "svd")
def singular_values(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        u, s, v = torch.linalg.svd(x[tile, :])
        out[tile, :] = u
    return out


@mistake(exc.UnsupportedOperation, "torch.fft.fft(x[tile, :])", "fft")
def fourier_transform(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.fft.fft(x[tile, :]).real
    return out


@mistake(
    exc.UnsupportedOperation,
    "torch.nn.functional.conv1d(x[tile, :], w[:, :, :])",
    "conv",
    args=(X, torch.zeros(64, 64, 3)),
)
def convolution(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.nn.functional.conv1d(x[tile, :], w[:, :, :])
    return out


@mistake(exc.UnsupportedOperation, "np.sin(x[tile])", "numpy", "torch", args=(V,))
def numpy_function_on_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = np.sin(x[tile])
    return out


@mistake(exc.UnsupportedOperation, "np.sum(x[tile])", "numpy", "torch", args=(V,))
def numpy_reduction_of_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = np.sum(x[tile])
    return out


@mistake(exc.UnsupportedOperation, "torch.exp(x[tile], out=buffer[tile])", "out=", args=(V,))
def operator_with_out(x):
    buffer = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        torch.exp(x[tile], out=buffer[tile])
        buffer[tile] = x[tile]
    return buffer


@mistake(exc.UnsupportedOperation, "torch.tensor([1.0, 2.0])", "torch.tensor", "host", args=(V,))
def table_made_on_the_device(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * torch.tensor([1.0, 2.0])
    return out


@mistake(exc.UnsupportedOperation, "x[tile].cuda()", "`.cuda()`", args=(V,))
def moving_a_value_to_the_gpu(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].cuda()
    return out


@mistake(exc.UnsupportedOperation, "x[tile].backward()", "backward", args=(V,))
def backward_on_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        x[tile].backward()
        out[tile] = x[tile]
    return out


@mistake(exc.UnsupportedOperation, "x[tile].data_ptr()", "data_ptr", args=(V,))
def address_of_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].data_ptr()
    return out


@mistake(exc.TracingFailed, 'torch.sum(x[tile], dim="rows")', "sum", args=(V,))
def reduction_over_a_named_dim(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = torch.sum(x[tile], dim="rows")
    return out


@mistake(TypeError, "torch.softmax(x[tile])", "dim", args=(V,))
def softmax_without_a_dim(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.softmax(x[tile])
    return out


@mistake(TypeError, "torch.add(x[tile], x[tile], beta=2)", "beta", args=(V,))
def keyword_that_does_not_exist(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.add(x[tile], x[tile], beta=2)
    return out


@mistake(TypeError, "torch.rsqrt_(1, 2)", args=(V,))
def torch_function_on_numbers(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * torch.rsqrt_(1, 2)
    return out


@mistake(exc.UnknownAttribute, "torch.softmaxx", "torch", "softmax", args=(V,))
def function_that_torch_does_not_have(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.softmaxx(x[tile], 0)
    return out


@mistake(exc.UnknownAttribute, "hl.arrange", "arange", args=(V,))
def function_that_hl_does_not_have(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.arrange(tile)
    return out


@mistake(exc.UnknownAttribute, "x[tile].summ", "summ", "sum", args=(V,))
def method_that_a_value_does_not_have(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = x[tile].summ()
    return out


@mistake(exc.UnsupportedOperation, "hl.reduce(lambda a, b: a + b + x[tile].sum(), x[tile], 0)", "load", args=(V,))
def combine_function_that_uses_a_value(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = hl.reduce(lambda a, b: a + b + x[tile].sum(), x[tile], 0)
    return out


@mistake(exc.TracingFailed, "hl.reduce(lambda a: a, x[tile], 0)", "lambda", args=(V,))
def combine_function_of_one_argument(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = hl.reduce(lambda a: a, x[tile], 0)
    return out


@mistake(exc.ShapeMismatch, "hl.dot(x[tile], x[tile])", "[BLOCK_TILE]", "two dimensions", args=(V,))
def dot_of_vectors(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = hl.dot(x[tile], x[tile])
    return out


@mistake(exc.InvalidArgument, "hl.dot(x[tile, :], 2.0)", "the Python float 2.0", "a device value")
def dot_with_a_number(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = hl.dot(x[tile, :], 2.0)
    return out


@mistake(exc.TracingFailed, "x[tile].size(1)", "Dimension out of range", args=(V,))
def size_of_a_missing_dim(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] / x[tile].size(1)
    return out


@mistake(exc.UnsupportedOperation, "x[tile].stride(0)", "`.stride()`", "host tensor", args=(V,))
def stride_of_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * x[tile].stride(0)
    return out


@mistake(exc.HostTensorDirectUsage, "max(x[tile], w)", "`w`", "w[tile]", args=(V, V))
def builtin_max_with_a_whole_tensor(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = max(x[tile], w)
    return out


@mistake(exc.DtypeMismatch, 'hl.dot_scaled(a, None, "e9m9", b, None, "bf16")', "e9m9", args=(X,))
def unknown_scaled_format(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        a, b = x[tile, :], x[:, :]
        out[tile, :] = hl.dot_scaled(a, None, "e9m9", b, None, "bf16")
    return out


@mistake(exc.UnsupportedOperation, "torch.exp(x[tile, :], out=out[tile, :])", "`out=` of torch.exp", "out[tile] = ...")
def result_of_an_operator_by_out(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        torch.exp(x[tile, :], out=out[tile, :])
    return out


@mistake(exc.UnsupportedOperation, "torch.frexp(x[tile, :])", "`frexp`")
def elementwise_operator_of_two_results(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        mantissa, _ = torch.frexp(x[tile, :])
        out[tile, :] = mantissa
    return out
