"""Python in kernels: helpers, closures, syntax that kernels do not have, and exceptions that are the author's own."""

import asyncio
import functools
import math

import torch
import triton.language as tl

import helion
import helion.language as hl
from helion import exc

from .record import V, X, mistake

COUNT = 0


def centred(v):
    return v - v.mean(1)


def outer_helper(v):
    return centred(v) * 2


def endless(v, n):
    return endless(v, n + 1)


def positive(v):
    if v < 0:
        return -v
    return v


class Model:
    scale = 2.0

    def normalise(self, v):
        return v / v.sum(1)


MODEL = Model()


@mistake(exc.ShapeMismatch, "v - v.mean(1)", "sub", "[BLOCK_TILE, 64]", "[BLOCK_TILE]", helpers=(centred,))
def mistake_in_a_helper(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = centred(x[tile, :])
    return out


@mistake(exc.ShapeMismatch, "v - v.mean(1)", "sub", helpers=(centred,))
def mistake_in_a_helper_of_a_helper(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = outer_helper(x[tile, :])
    return out


@mistake(exc.ShapeMismatch, "v / v.sum(1)", "div", helpers=(Model.normalise,))
def mistake_in_a_method(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = MODEL.normalise(x[tile, :])
    return out


@mistake(exc.DeviceControlFlow, "if v < 0:", "`return`", "torch.where", helpers=(positive,))
def helper_that_returns_early(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = positive(x[tile, 0].sum())
    return out


@mistake(exc.ShapeMismatch, "v - v.amax(1)", "sub")
def mistake_in_a_lambda(x):
    out = torch.empty_like(x)
    f = lambda v: v - v.amax(1)  # noqa: E731
    for tile in hl.tile(x.size(0)):
        out[tile, :] = f(x[tile, :])
    return out


@mistake(exc.ShapeMismatch, "v + w[0:32]", "[32]", args=(X, V))
def mistake_in_a_nested_function(x, w):
    out = torch.empty_like(x)

    def shifted(v):
        return v + w[0:32]

    for tile in hl.tile(x.size(0)):
        out[tile, :] = shifted(x[tile, :])
    return out


@mistake(exc.ShapeMismatch, "x[tile, 0:32] + x[tile, 0:k] for k", "[BLOCK_TILE, 16]")
def mistake_in_a_comprehension(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        parts = [x[tile, 0:32] + x[tile, 0:k] for k in (32, 16)]
        out[tile, 0:32] = parts[0]
    return out


@mistake(exc.ShapeMismatch, "functools.partial(torch.add, x[tile, :])(w[0:32])", "add", args=(X, V))
def mistake_in_a_partial(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = functools.partial(torch.add, x[tile, :])(w[0:32])
    return out


@mistake(exc.UnsupportedOperation, "endless(v, n + 1)", "recursion", "loop", helpers=(endless,))
def recursion_without_end(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = endless(x[tile, :], 0)
    return out


@mistake(AttributeError, "MODEL.size", "size", args=(V,))
def attribute_that_an_object_does_not_have(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * MODEL.size
    return out


@mistake(ZeroDivisionError, "1 // 0", args=(V,))
def division_of_constants_by_zero(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * (1 // 0)
    return out


@mistake(ZeroDivisionError, "x.size(0) // 0", args=(V,))
def division_of_a_size_by_zero(x):
    half = x.size(0) // 0
    for tile in hl.tile(half):
        x[tile] = 0.0
    return x


@mistake(ValueError, 'raise ValueError("negative")', "negative", args=(V,))
def own_exception_on_the_device(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
        raise ValueError("negative")
    return x


@mistake(ValueError, 'raise ValueError("two dims, please")', "two dims, please", args=(V,))
def own_exception_on_the_host(x):
    if x.dim() != 2:
        raise ValueError("two dims, please")
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = 0.0
    return x


@mistake(AssertionError, "assert x.dim() == 2", "a matrix", args=(V,))
def assertion_on_the_host(x):
    assert x.dim() == 2, "a matrix"
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = 0.0
    return x


@mistake(AssertionError, "assert x.size(0) == 32", "32 rows", args=(V,))
def assertion_on_constants_of_the_device(x):
    for tile in hl.tile(x.size(0)):
        assert x.size(0) == 32, "32 rows"
        x[tile] = 0.0
    return x


@mistake(KeyError, 'SCALES["missing"]', "missing", args=(V,))
def key_that_a_dict_does_not_have(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = SCALES["missing"]
    return x


SCALES = {"one": 1.0}


@mistake(exc.ReadOnlyCapture, 'SCALES["last"] = x[tile, 0]', "SCALES['last']")
def value_kept_in_a_global_dict(x):
    for tile in hl.tile(x.size(0)):
        SCALES["last"] = x[tile, 0]
        x[tile, 0] = 1.0
    return x


@mistake(IndexError, "[1.0, 2.0][2]", args=(V,))
def index_past_a_list(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = [1.0, 2.0][2]
    return x


@mistake(TypeError, "centred(x[tile], 2)", "positional", args=(V,))
def helper_with_too_many_arguments(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = centred(x[tile], 2)
    return x


@mistake(RuntimeError, "x.view(7, 9)", "shape '[7, 9]'", args=(V,))
def host_view_that_does_not_fit(x):
    y = x.view(7, 9)
    for tile in hl.tile(y.size(0)):
        y[tile, 0] = 0.0
    return x


@mistake(exc.UnsupportedSyntax, "yield x", "`yield`", "return", started=False)
def generator(x):
    for tile in hl.tile(x.size(0)):
        yield x


@mistake(exc.UnsupportedSyntax, "async def coroutine(x):", "`async def`", "plain `def`", started=False)
async def coroutine(x):
    for tile in hl.tile(x.size(0)):
        x[tile, :] = 0.0


@mistake(exc.UnsupportedSyntax, "global COUNT", "`global`", started=False)
def write_to_a_global(x):
    global COUNT
    for tile in hl.tile(x.size(0)):
        COUNT = COUNT + 1
        x[tile, :] = 0.0


@mistake(exc.UnsupportedSyntax, "nonlocal total", "`nonlocal`", script=True)
def write_to_a_variable_of_an_outer_function():
    total = 0

    @helion.kernel
    def kernel(x):
        nonlocal total
        for tile in hl.tile(x.size(0)):
            total = total + 1
            x[tile, :] = 0.0

    kernel.bind((X,))


@mistake(exc.UnsupportedSyntax, "await asyncio.sleep(0)", "`await`", script=True)
def await_in_a_helper():
    @helion.kernel
    def kernel(x):
        async def wait():
            await asyncio.sleep(0)

        for tile in hl.tile(x.size(0)):
            x[tile, :] = 0.0

    kernel.bind((X,))


@mistake(exc.SourceUnavailable, "helion.kernel(lambda x: x)", "lambda", "def", script=True)
def lambda_as_a_kernel():
    helion.kernel(lambda x: x).bind((X,))


@mistake(exc.SourceUnavailable, 'helion.kernel(namespace["f"])', "`f`", "in a file", script=True)
def kernel_made_by_exec():
    namespace = {}
    exec("def f(x):\n    return x\n", namespace)
    helion.kernel(namespace["f"]).bind((X,))


@mistake(exc.SourceUnavailable, "helion.kernel(len)", "len", "def", script=True)
def builtin_as_a_kernel():
    helion.kernel(len)


@mistake(exc.SourceUnavailable, "helion.kernel(torch.nn.ReLU())", "ReLU", "def", script=True)
def module_as_a_kernel():
    helion.kernel(torch.nn.ReLU())


@mistake(exc.SourceUnavailable, "helion.kernel(Model)", "Model", "def", script=True)
def class_as_a_kernel():
    helion.kernel(Model)


@mistake(exc.InvalidKernelSignature, "tensors):", "`tensors`", "*args", script=True)
def variadic_parameters():
    @helion.kernel
    def kernel(*tensors):
        return tensors


@mistake(exc.InvalidKernelSignature, "options):", "`options`", "**kwargs", script=True)
def keyword_parameters():
    @helion.kernel
    def kernel(x, **options):
        return x


@mistake(exc.InvalidKernelSignature, "scale):", "`scale`", "keyword-only", script=True)
def keyword_only_parameter():
    @helion.kernel
    def kernel(x, *, scale):
        return x * scale


@mistake(exc.InvalidKernelSignature, "_launch):", "`_launch`", "reserved", "another name", script=True)
def parameter_of_the_generated_function():
    @helion.kernel
    def kernel(x, _launch):
        return x * _launch


@mistake(exc.ReadOnlyCapture, "MODEL.scale = x[tile, 0]", "`MODEL.scale`")
def value_kept_in_an_attribute(x):
    for tile in hl.tile(x.size(0)):
        MODEL.scale = x[tile, 0]
        x[tile, 0] = MODEL.scale
    return x


@mistake(exc.InvalidArgument, 'print("x", [x[tile]])', "list", args=(V,))
def print_of_a_list_of_values(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
        print("x", [x[tile]])
    return x


@mistake(exc.HostTensorDirectUsage, 'print("x", x)', "`x`", "print", args=(V,))
def print_of_a_whole_tensor(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
        print("x", x)
    return x


@mistake(exc.UnsupportedOperation, 'hl.inline_triton("tl.exp({0}", [x[tile]], x[tile])', "inline_triton", args=(V,))
def triton_text_that_does_not_parse(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = hl.inline_triton("tl.exp({0}", [x[tile]], x[tile])
    return x


@mistake(exc.UnsupportedOperation, 'hl.inline_triton("tl.exp({1})", [x[tile]], x[tile])', "{1}", args=(V,))
def triton_text_with_a_wrong_placeholder(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = hl.inline_triton("tl.exp({1})", [x[tile]], x[tile])
    return x


@mistake(
    exc.CompilationFailed,
    'kernel.bind((V,)).compile_for(parse_target("sm_90"))',
    "`kernel`",
    "sm_90",
    "missing",
    script=True,
)
def triton_function_that_does_not_exist():
    from helion.runtime.targets import parse_target

    @helion.kernel(autotune_effort="none")
    def kernel(x):
        for tile in hl.tile(x.size(0)):
            x[tile] = hl.inline_triton("tl.missing({0})", [x[tile]], x[tile])

    kernel.bind((V,)).compile_for(parse_target("sm_90"))


@mistake(exc.KernelRunFailed, "for tile in hl.tile(x.size(0))", "`kernel`", "missing", script=True)
def triton_function_that_does_not_exist_when_it_runs():
    @helion.kernel(autotune_effort="none")
    def kernel(x):
        for tile in hl.tile(x.size(0)):
            x[tile] = hl.inline_triton("tl.missing({0})", [x[tile]], x[tile])

    kernel(V)


@mistake(exc.InvalidArgument, "hl.triton_kernel(centred, [x[tile]], x[tile])", "triton.jit", args=(V,))
def plain_function_as_a_triton_function(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = hl.triton_kernel(centred, [x[tile]], x[tile])
    return x


@mistake(
    exc.InvalidArgument,
    "hl.device_print(x[tile])",
    "as the text of hl.device_print",
    'hl.device_print("text", value)',
    args=(V,),
)
def prints_without_a_text(x):
    for tile in hl.tile(x.size(0)):
        hl.device_print(x[tile])
        x[tile] = x[tile] + 1


@mistake(exc.DeviceValueAsPython, None, "Python string", 'print("text", value)', args=(V,))
def value_in_an_f_string(x):
    for tile in hl.tile(x.size(0)):
        print(f"{x[tile]}")
        x[tile] = x[tile] + 1


@mistake(exc.DeviceValueAsPython, "math.exp(x[tile])", "Python float", "use that of torch", args=(V,))
def math_on_a_tile(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = math.exp(x[tile])


@mistake(exc.UnsupportedOperation, "tl.exp(x[tile])", "a function of Triton's language", "torch.exp", args=(V,))
def function_of_triton(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = tl.exp(x[tile])


@mistake(exc.UnsupportedOperation, "tl.program_id(0)", "a function of Triton's language", "tile.id", args=(V,))
def program_id_of_triton(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = x[tile] + tl.program_id(0)
