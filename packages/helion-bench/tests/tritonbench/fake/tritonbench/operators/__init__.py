import os
import time

import torch

from tritonbench.utils.triton_op import BenchmarkOperator, register_benchmark


class Softmax(BenchmarkOperator):
    name = "softmax"

    @register_benchmark("softmax", "naive", baseline=True)
    def naive(self, x):
        return lambda: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)

    @register_benchmark("softmax", "wrong")
    def wrong(self, x):
        return lambda: torch.softmax(x, 0)

    @register_benchmark("softmax", "raises")
    def raises(self, x):
        raise RuntimeError("0 active drivers")

    @register_benchmark("softmax", "nothing")
    def nothing(self, x):
        return lambda: None

    @register_benchmark("softmax", "kills")
    def kills(self, x):
        os._exit(7)

    def get_input_iter(self):
        for n in (16, 24, 32):
            yield (torch.randn(4096, n),)

    def get_x_val(self, inputs):
        return list(inputs[0].shape)


class LayerNorm(BenchmarkOperator):
    name = "layer_norm"

    def __init__(self, tb_args, extra_args):
        raise ImportError("liger is not there")


class Gemm(BenchmarkOperator):
    name = "gemm"

    @register_benchmark("gemm", "broken", baseline=True)
    def broken(self, a, b, bias):
        raise NotImplementedError("no such matrix product")

    @register_benchmark("gemm", "slow")
    def slow(self, a, b, bias):
        time.sleep(60)

    @register_benchmark("gemm", "aten")
    def aten(self, a, b, bias):
        return lambda: a @ b

    def get_input_iter(self):
        for k in (8, 16, 24):
            yield torch.randn(16, k), torch.randn(k, 8), None

    def get_x_val(self, inputs):
        return 16, 8, inputs[0].shape[1]


def load_opbench_by_name(name):
    if name == "flash_attention":
        import no_such_package  # noqa: F401
    return {"softmax": Softmax, "layer_norm": LayerNorm, "gemm": Gemm}[name]
