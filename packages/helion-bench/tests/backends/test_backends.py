"""Which case each backend takes, and how ours choose their configs."""

import dataclasses
import importlib.util
import inspect
import sys
import types
import warnings

import pytest
import torch

import helion
from helion_bench.backends import catalogue as backends
from helion_bench.backends import ours as ours_module
from helion_bench.cases import catalogue
from helion_bench.errors import InvalidRequest
from helion_bench.measure.cpu import CpuDevice
from helion_bench.results.model import Role
from helion_bench.run.calls import Problem, bind

FULL = catalogue.cases()


def test_every_operation_has_ours_and_at_least_two_peers_that_compute_it():
    for name in {case.op for case in FULL}:
        case = next(c for c in FULL if c.op == name and c.pass_ == "fwd")
        peers = [b.name for b in backends.backends(["all"]) if b.role is Role.PEER and not b.declines(case)]
        assert len(peers) >= 2, name


@pytest.mark.parametrize(
    ("backend", "takes"),
    [
        ("eager", {c.op for c in FULL}),
        ("compile", {c.op for c in FULL} - {"grouped_mm", "attention_varlen"}),
        ("cudnn", {"attention"}),
        ("flash", {"attention", "attention_varlen"}),
        ("cublas", {"scaled_mm"}),
        ("cutlass", {"grouped_mm"}),
        ("triton", {"softmax", "layer_norm", "rms_norm", "matmul", "attention"}),
    ],
)
def test_what_each_backend_computes(backend, takes):
    one = backends.backend(backend)
    assert {c.op for c in FULL if one.declines(c) is None} == takes
    assert all(one.declines(c) for c in FULL if c.op not in takes)


def test_routine_backends_come_first_ours_and_an_unknown_one_is_refused():
    routine = backends.backends()
    assert routine[0].role is Role.OURS and all(b.routine for b in routine)
    assert {"helion-tuned", "compile-max"} <= {b.name for b in backends.backends(["all"])} - {b.name for b in routine}
    with pytest.raises(InvalidRequest, match=r"there is no backend 'cudann'; there is: .*, cudnn, .*, all"):
        backends.backend("cudann")


def test_liger_is_called_as_it_wants_to_be_where_it_is(monkeypatch):
    liger = backends.backend("liger")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert liger.why_not() == "not installed (pip install liger-kernel)" and liger.version() == ""
    calls = types.ModuleType("liger_kernel.transformers.functional")
    calls.liger_rms_norm = lambda x, w, eps, in_place: torch.nn.functional.rms_norm(x, x.shape[-1:], w, eps)
    calls.liger_layer_norm = lambda x, w, b, eps: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b, eps)
    calls.liger_swiglu = lambda a, b: torch.nn.functional.silu(a) * b
    calls.liger_geglu = lambda a, b: torch.nn.functional.gelu(a, approximate="tanh") * b
    calls.liger_cross_entropy = torch.nn.functional.cross_entropy
    calls.liger_fused_linear_cross_entropy = lambda x, w, t: torch.nn.functional.cross_entropy(x @ w.t(), t)
    monkeypatch.setitem(sys.modules, calls.__name__, calls)
    softmax = types.ModuleType("liger_kernel.ops.softmax")
    softmax.LigerSoftmaxFunction = types.SimpleNamespace(apply=lambda x: torch.softmax(x, -1))
    monkeypatch.setitem(sys.modules, softmax.__name__, softmax)
    for op in liger.functions:
        case = next(c for c in catalogue.cases([op], extent="cpu") if c.pass_ == "fwd")
        problem = Problem.make(case, catalogue.operation(op), "cpu")
        bound = bind(problem, liger.implement(case, problem.operation))
        assert problem.operation.verify(problem.inputs, None, bound.results(bound.call()), problem.expected()).ok


@pytest.mark.parametrize(
    "options",
    [{"is_causal": True}, {"window_size": (-1, 0)}, {"window_size": (-1, 0), "enable_gqa": True}],
)
def test_packed_flash_attention_is_called_as_each_torch_wants_it(monkeypatch, options):
    seen = {}

    def varlen_attn(*_, **given):
        seen.update(given)

    taken = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in options]
    varlen_attn.__signature__ = inspect.Signature(taken)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_attn)
    case = next(c for c in catalogue.cases(["attention_varlen"], extent="cpu") if "-kv2" in c.shape)
    problem = Problem.make(case, catalogue.operation("attention_varlen"), "cpu")
    backends.backend("flash").implement(case, problem.operation)(**problem.inputs)
    assert seen == options


def test_each_of_ours_keeps_its_own_config_of_a_kernel_that_they_share(monkeypatch):
    (case,) = catalogue.cases(["softmax"], shapes=["7x100"], passes=["fwd"])
    problem = Problem.make(case, catalogue.operation("softmax"), "cpu")
    shipped, default = backends.backend("helion"), backends.backend("helion-default")
    monkeypatch.setattr(shipped, "choose", lambda called: helion.Config(block_sizes=[4]))
    with CpuDevice().active():
        for backend in (shipped, default):
            function = backend.implement(case, problem.operation)
            with backend.active():
                assert torch.isfinite(function(**problem.inputs)).all()
        (called,) = ours_module.CALLED
        kernel_default = called.bound.default_config()
        for backend, expected in ((shipped, (4,)), (default, kernel_default.block_sizes), (shipped, (4,))):
            with backend.active():
                assert called.bound.config.block_sizes == expected
        assert (
            shipped.config().startswith("softmax_rows: helion.Config(block_sizes=[4]")
            and "softmax_rows: " in default.config()
        )
    assert kernel_default.block_sizes != (4,), "the test needs a config that is not the default"


@pytest.mark.parametrize(("name", "as_it_comes"), [("helion", True), ("helion-default", False)])
def test_ours_has_the_config_that_a_user_gets_which_kernels_may_prefer_to_the_planners(name, as_it_comes):
    from helion_kernels.frame import choice

    (case,) = catalogue.cases(["layer_norm"], shapes=["7x100"], passes=["bwd"])
    problem = Problem.make(case, catalogue.operation("layer_norm"), "cpu")
    backend = backends.backend(name)
    with CpuDevice().active(), backend.active():
        bind(problem, backend.implement(case, problem.operation)).call()
        preferring = [called for called in ours_module.CALLED if called.bound.kernel in choice.PREFERENCES]
        assert {called.bound.kernel.name for called in preferring} == {"layer_norm_rows_backward", "summed_shares"}
        for called in preferring:
            preferred = choice.default(called.bound, called.args)
            assert (called.bound.config == preferred) is as_it_comes
    ours_module.end()


def test_what_our_library_leaves_to_torch_is_an_error_not_a_time():
    from helion_kernels import FallbackWarning

    (case,) = catalogue.cases(["softmax"], shapes=["7x100"], passes=["fwd"])
    problem = Problem.make(case, catalogue.operation("softmax"), "cpu")
    backend = backends.backend("helion")
    function = backend.implement(case, problem.operation)
    for _ in range(2):  # it is said only once, and must be refused every time
        with pytest.raises(FallbackWarning, match="leaves cpu tensors to torch"), backend.active():
            function(**problem.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        function(**problem.inputs)


@pytest.mark.parametrize("path", ["helion_kernels:no_such_operation", "no_such_package:softmax"])
def test_functions_that_are_not_there(path):
    assert ours_module.function(path) is None


@pytest.mark.parametrize(
    ("op", "why"),
    [("geglu", "over its inputs"), ("swiglu", "over its inputs"), ("cross_entropy", "in its forward pass"),
     ("linear_cross_entropy", None), ("rms_norm", None)],
)  # fmt: skip
def test_backward_passes_of_liger_that_cannot_be_measured_say_why(op, why):
    (case, *_) = catalogue.cases([op], passes=["bwd"], extent="quick")
    found = backends.backend("liger").declines(case)
    assert found is None if why is None else why in found
    assert backends.backend("liger").declines(dataclasses.replace(case, pass_="fwd")) is None
