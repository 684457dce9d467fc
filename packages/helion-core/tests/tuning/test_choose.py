"""Where the config of a first call comes from."""

from __future__ import annotations

import logging

import pytest
import torch

import helion
from helion import exc
from helion.tuning import tuner
from helion.tuning.choose import choose

X = torch.randn(256)
A, B = helion.Config(block_sizes=[64]), helion.Config(block_sizes=[128])


class Tuners:
    """Stands in for `Tuner`: says which of its methods was asked."""

    def __init__(self, bound, args, target) -> None:
        self.target = target

    def best(self, force):
        return f"searched, force={force}"

    def fastest_given(self, configs):
        return f"fastest of {len(configs)}"


@pytest.fixture
def on_gpu(monkeypatch, h100):
    """`on_gpu(kernel, force=False)`: what would be chosen if the arguments were on an H100."""
    from helion.runtime.bound import BoundKernel

    def run(kernel, force=False):
        bound = kernel.bind((X, 2.0))
        with monkeypatch.context() as patch:
            patch.setattr(tuner, "Tuner", Tuners)
            patch.setattr(BoundKernel, "target", property(lambda self: h100))
            patch.setattr(BoundKernel, "default_config", lambda self, target=None: "default")
            return choose(bound, (X, 2.0), force)

    return run


def test_the_only_one_given(on_gpu, scaled):
    kernel = scaled(config=A)
    assert on_gpu(kernel) == A
    assert on_gpu(kernel, force=True) == "searched, force=True"


def test_a_function_is_asked_once_for_each_specialisation(scaled):
    asked = []

    def answer(bound, args):
        asked.append((bound.kernel.name, args[0].size(0)))
        return {"block_sizes": [64]} if args[0].size(0) == 256 else None

    kernel = scaled(config=answer)
    for x in (X, X, torch.randn(100)):
        torch.testing.assert_close(kernel(x, 2.0), x * 2)
    assert asked == [("scaled", 256), ("scaled", 100)]
    assert kernel.bind((X, 2.0)).config.block_sizes == (64,)
    other = kernel.bind((torch.randn(100), 2.0))
    assert other.config == other.default_config()


def test_what_the_function_answers_is_checked(on_gpu, scaled):
    with pytest.raises(exc.InvalidConfig, match="num_warps"):
        scaled(config=lambda bound, args: {"num_warps": 3})(X, 2.0)
    kernel = scaled(config=lambda bound, args: None, autotune_effort="none")
    assert on_gpu(kernel) == "default"
    assert on_gpu(kernel, force=True) == "searched, force=True"


@pytest.mark.parametrize("settings", [{"use_default_config": True}, {"autotune_effort": "none"}])
def test_the_default_where_nobody_wants_tuning(on_gpu, scaled, settings):
    assert on_gpu(scaled(**settings)) == "default"
    assert on_gpu(scaled(configs=[A, B], **settings)) == "default"
    assert on_gpu(scaled(config=A, **settings)) == A


def test_the_fastest_of_several(on_gpu, scaled):
    assert on_gpu(scaled(configs=[A, B])) == "fastest of 2"
    assert on_gpu(scaled(configs=[A, B]), force=True) == "searched, force=True"


def test_a_search(on_gpu, scaled, monkeypatch):
    assert on_gpu(scaled()) == "searched, force=False"
    monkeypatch.setenv("HELION_FORCE_AUTOTUNE", "1")
    assert on_gpu(scaled(configs=[A, B])) == "searched, force=True"


def test_set_explicitly_stays(scaled):
    kernel = scaled()
    kernel.bind((X, 2.0)).set_config(B)
    torch.testing.assert_close(kernel(X, 2.0), X * 2)
    assert kernel.bind((X, 2.0)).config.block_sizes == (128,)


def test_no_tuning_without_a_gpu(scaled, caplog):
    kernel = scaled()
    with caplog.at_level(logging.INFO, "helion"):
        torch.testing.assert_close(kernel(X, 2.0), X * 2)
        kernel(X, 3.0)
    bound = kernel.bind((X, 2.0))
    assert bound.config == bound.default_config()
    assert [r.message for r in caplog.records if "not tuned" in r.message] == [
        "scaled is not tuned, since its tensors are not on a GPU; it uses the default config"
    ]
    assert kernel.autotune((X, 2.0), force=True) == bound.default_config()


def test_several_given_without_a_gpu_are_called_once_each(scaled, monkeypatch):
    calls = []
    from helion.runtime.bound import BoundKernel

    original = BoundKernel.compile_config

    def counted(self, config):
        calls.append(config)
        return original(self, config)

    monkeypatch.setattr(BoundKernel, "compile_config", counted)
    kernel = scaled(configs=[A, B])
    before = X.clone()
    torch.testing.assert_close(kernel(X, 2.0), X * 2)
    assert calls[:2] == [A, B] and torch.equal(X, before)
    assert kernel.bind((X, 2.0)).config.block_sizes in ((64,), (128,))


def test_what_does_not_work_is_passed_over_without_a_gpu(scaled):
    kernel = scaled(configs=[helion.Config(block_sizes=[3]), B])
    kernel(X, 2.0)
    assert kernel.bind((X, 2.0)).config.block_sizes == (128,)
    with pytest.raises(exc.InvalidConfig):
        scaled(configs=[helion.Config(block_sizes=[3]), helion.Config(block_sizes=[5])])(X, 2.0)
