import os

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


def load_opbench_by_name(name):
    return {"softmax": Softmax, "layer_norm": LayerNorm}[name]
