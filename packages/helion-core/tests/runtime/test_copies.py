"""Kernels and operators are copied and pickled by name, as functions are: models that hold them can be."""

import copy
import io
import multiprocessing
import pickle

import pytest
import torch

import helion
import helion.language as hl


@helion.kernel()
def tripled(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile] * 3
    return out


tripled_op = tripled.as_op("helion_tests_copies::tripled")


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.kernel, self.operator = tripled, tripled_op

    def forward(self, x):
        return self.kernel(self.operator(x) * self.weight.detach())


X = torch.arange(3.0)


def applied(function, x):
    return function(x).tolist()


def test_deep_copies_hold_the_same_kernel():
    tripled(X)  # compiled by then
    model = Model()
    twin = copy.deepcopy(model)
    assert twin.kernel is tripled and twin.operator is tripled_op and twin.weight is not model.weight
    assert twin(X).tolist() == [0.0, 9.0, 18.0]
    bound = tripled.bind((X,))
    assert copy.deepcopy([bound]) == [bound] and copy.copy(tripled) is tripled


def test_pickled_models_hold_the_same_kernel():
    assert pickle.loads(pickle.dumps(tripled)) is tripled
    assert pickle.loads(pickle.dumps(tripled_op)) is tripled_op
    file = io.BytesIO()
    torch.save(Model(), file)
    file.seek(0)
    assert torch.load(file, weights_only=False)(X).tolist() == [0.0, 9.0, 18.0]


def test_a_forked_process_takes_a_kernel():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for function in (tripled, tripled_op):
            assert pool.apply_async(applied, (function, X)).get(60) == [0.0, 3.0, 6.0]


def test_what_has_no_name_to_find_it_by_is_told():
    @helion.kernel()
    def local(x: torch.Tensor) -> torch.Tensor:
        return x

    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(local)
    assert copy.deepcopy(local) is local
    with pytest.raises(TypeError, match="pickle the kernel, and bind it again"):
        pickle.dumps(tripled.bind((X,)))
