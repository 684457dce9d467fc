"""Each operation: torch in every dtype is right against the float64 reference, and what is wrong is found."""

from importlib.metadata import entry_points

import pytest
import torch

from helion_bench.cases import catalogue
from helion_bench.cases.operation import Operation, Random, Shape
from helion_bench.cases.reference import as_tuple, in_parts
from helion_bench.errors import InvalidRequest
from helion_bench.run.calls import Problem, bind

OURS = sorted(p.name for p in entry_points(group="helion_bench.cases") if p.value.startswith("helion_bench."))
CASES = catalogue.cases(OURS, dtypes=["bfloat16", "float16", "float32", "float8_e4m3fn"], extent="cpu")


def judged(case, function=None):
    operation = catalogue.operation(case.op)
    problem = Problem.make(case, operation, "cpu")
    bound = bind(problem, function or operation.eager)
    return operation.verify(problem.inputs, problem.gradient, bound.results(bound.call()), problem.expected())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_torch_is_right(case):
    verdict = judged(case)
    assert verdict.ok, verdict.problem
    assert 0 <= verdict.used < 0.8, "the tolerance is about to be too tight for torch itself"


@pytest.mark.parametrize("case", [c for c in CASES if c.dtype in ("bfloat16", "float8_e4m3fn")], ids=lambda c: c.id)
def test_one_wrong_element_is_found(case):
    """The output, or with a backward pass the gradients, are off by more than rounding in one place."""
    operation = catalogue.operation(case.op)

    def slightly_off(**inputs):
        output, *others = as_tuple(operation.eager(**inputs))
        mask = torch.zeros_like(output.detach()).flatten()
        mask[-1] = 1.0
        error = mask.view_as(output) * (output.detach().float().square().mean().sqrt() + 1).to(output.dtype)
        return output + error, *others

    assert not judged(case, slightly_off).ok


@pytest.mark.parametrize("case", [c for c in CASES if c.pass_ != "fwd" and c.dtype == "bfloat16"], ids=lambda c: c.id)
def test_wrong_gradients_are_found(case):
    operation = catalogue.operation(case.op)

    def steeper(**inputs):
        outputs = as_tuple(operation.eager(**inputs))
        return tuple(output.detach() + (output - output.detach()) * 1.1 for output in outputs)

    assert not judged(case, steeper).ok


@pytest.mark.parametrize("name", OURS)
def test_every_operation_is_complete(name):
    operation = catalogue.operation(name)
    assert operation.name == name and type(operation).__doc__
    full = [s for s in operation.shapes if not s.cpu]
    assert len(full) >= 5 and any(s.quick for s in full) and any(s.cpu for s in operation.shapes)
    assert len({s.label for s in operation.shapes}) == len(operation.shapes)
    for shape in full:
        for pass_ in operation.passes:
            assert operation.flops(shape.sizes, pass_) > 0 and operation.bytes(shape.sizes, 2, pass_) > 0


@pytest.mark.parametrize(
    ("name", "shape", "pass_", "flops", "bytes_"),
    [
        ("softmax", "8192x8192", "fwd", 4 * 8192**2, 2 * 2 * 8192**2),
        ("softmax", "8192x8192", "bwd", 4 * 8192**2, 3 * 2 * 8192**2),
        ("matmul", "4096x4096x4096", "fwd", 2 * 4096**3, 3 * 2 * 4096**2),
        ("matmul", "4096x4096x4096", "bwd", 4 * 4096**3, 5 * 2 * 4096**2),
        ("attention", "4x32x4096x128", "fwd", 4 * 4 * 32 * 4096**2 * 128, 4 * 2 * 4 * 32 * 4096 * 128),
        ("attention", "4x32x4096x128-causal", "fwd", 2 * 4 * 32 * 4096**2 * 128, 4 * 2 * 4 * 32 * 4096 * 128),
        ("attention", "4x32x4096x128-causal", "bwd", 5 * 4 * 32 * 4096**2 * 128, 8 * 2 * 4 * 32 * 4096 * 128),
        ("swiglu", "8192x14336", "bwd", 12 * 8192 * 14336, 5 * 2 * 8192 * 14336),
        ("linear_cross_entropy", "4096x4096x32000", "fwd+bwd", 6 * 4096**2 * 32000, 4 * 36096 * 4096 + 8 * 4096),
        ("cross_entropy", "8192x32000", "fwd", 4 * 8192 * 32000, 2 * 8192 * 32000 + 8 * 8192),
    ],
)
def test_what_operations_cost(name, shape, pass_, flops, bytes_):
    (case,) = catalogue.cases([name], shapes=[shape], passes=[pass_])
    operation = catalogue.operation(name)
    assert operation.flops(dict(case.sizes), pass_) == flops
    assert operation.bytes(dict(case.sizes), 2, pass_) == bytes_


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "cross_entropy", "linear_cross_entropy", "linear", "swiglu"])
def test_references_in_parts_are_those_of_the_whole(name):
    """Sizes that do not divide: 7 rows in parts of 3, 3 and 1."""
    (case,) = catalogue.cases([name], shapes=["7x*"], passes=["bwd"], extent="cpu")
    problem = Problem.make(case, catalogue.operation(name), "cpu")
    sizes = dict(case.sizes)
    whole = in_parts(problem.operation, sizes, problem.inputs, problem.gradient, limit=1 << 40)
    largest = problem.operation.largest(sizes, problem.inputs)
    parts = in_parts(problem.operation, sizes, problem.inputs, problem.gradient, limit=-(-largest // 3))
    assert parts.named().keys() == whole.named().keys()
    for key, tensor in whole.named().items():
        assert tensor.dtype == torch.float64
        torch.testing.assert_close(parts.named()[key], tensor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_the_reference_of_attention_is_torchs(causal):
    """Against torch's own attention and its gradients in float64, over more queries than one part holds."""
    operation = catalogue.operation("attention")
    sizes = {"batch": 1, "heads": 2, "kv_heads": 1, "seq": 1100, "keys": 1100, "dim": 4, "causal": int(causal)}
    random = Random(0, "cpu")
    inputs = operation.make(sizes, torch.float64, random)
    gradient = (random.normal(1, 2, 1100, 4, dtype=torch.float64),)
    found = operation.reference(sizes, inputs, gradient)
    leaves = {k: v.requires_grad_() if k in "qkv" else v for k, v in inputs.items()}
    output = operation.eager(**leaves)
    torch.testing.assert_close(found.outputs[0], output, rtol=1e-9, atol=1e-9)
    for name, expected in zip("qkv", torch.autograd.grad(output, [leaves[n] for n in "qkv"], gradient), strict=True):
        torch.testing.assert_close(found.gradients[name], expected, rtol=1e-9, atol=1e-9)


def test_who_may_compute_gradients_in_the_forward_pass_is_measured_over_both():
    (case,) = catalogue.cases(["linear_cross_entropy"], shapes=["7x*"], passes=["bwd"], extent="cpu")
    assert case.pass_ == "fwd+bwd"
    problem = Problem.make(case, catalogue.operation(case.op), "cpu")
    calls = []

    def counted(**inputs):
        calls.append(inputs)
        return problem.operation.eager(**inputs)

    bound = bind(problem, counted)
    assert not calls, "nothing of it happens before the call that is measured"
    first, second = (bound.results(bound.call()) for _ in range(2))
    assert len(calls) == 2 and set(first.gradients) == {"x", "weight"}
    assert all(torch.equal(first.named()[name], second.named()[name]) for name in first.named())


def test_inputs_are_the_same_on_every_run():
    (case,) = catalogue.cases(["layer_norm"], shapes=["7x*"], passes=["fwd"], extent="cpu")
    first, second = (Problem.make(case, catalogue.operation("layer_norm"), "cpu") for _ in range(2))
    assert first.checksum() == second.checksum()
    first.inputs["x"][3, 5] += 1
    assert first.checksum() != second.checksum()


def test_copies_are_equal_and_elsewhere():
    (case,) = catalogue.cases(["swiglu"], shapes=["7x*"], passes=["bwd"], extent="cpu")
    one, two = Problem.make(case, catalogue.operation("swiglu"), "cpu").copies(2)
    assert torch.equal(one.inputs["up"], two.inputs["up"])
    assert one.inputs["up"].data_ptr() != two.inputs["up"].data_ptr()
    assert one.footprint == 2 * 7 * 100 * 2


class Doubled(Operation):
    name = "doubled"
    ours = "nowhere:doubled"
    shapes = (Shape({"rows": 3}),)

    def make(self, sizes, dtype, random):
        return {"x": random.normal(sizes["rows"], dtype=dtype)}

    def eager(self, **inputs):
        return as_tuple(inputs["x"] * 2)

    def flops(self, sizes, pass_):
        return 1.0

    def bytes(self, sizes, itemsize, pass_):
        return 1.0


def test_a_program_may_register_an_operation_of_its_own():
    catalogue.REGISTRY.register("doubled", Doubled)
    try:
        (case,) = catalogue.cases(["doubled"], passes=["fwd"])
        assert case.id == "doubled/3/bfloat16/fwd" and judged(case).ok
    finally:
        catalogue.REGISTRY.unregister("doubled")


def test_a_request_without_cases_is_told_what_there_is():
    with pytest.raises(InvalidRequest, match=r"float31; there is: shapes .*, dtypes bfloat16 .*, passes fwd bwd"):
        catalogue.cases(["softmax"], dtypes=["float31"])


def test_a_run_that_is_cut_short_has_measured_what_is_needed_most():
    keys = catalogue.by_need(catalogue.cases(OURS, dtypes=["bfloat16", "float16", "float8_e4m3fn"]))
    assert sorted(keys, key=lambda key: key.id) == sorted(
        catalogue.cases(OURS, dtypes=["bfloat16", "float16", "float8_e4m3fn"]), key=lambda key: key.id
    )
    first = [key for key in keys if key.dtype != "float16"]
    assert keys[: len(first)] == first == catalogue.by_need(catalogue.cases(OURS)), "other dtypes come last"
    quick = catalogue.cases(OURS, extent="quick")
    assert keys[: len(quick)] == quick
    half = {(key.op, key.pass_): 0 for key in first}
    for key in first[: len(quick) + (len(first) - len(quick)) // 2]:
        half[key.op, key.pass_] += 1
    assert max(half.values()) - min(half.values()) <= 1 and min(half.values()) >= 3
