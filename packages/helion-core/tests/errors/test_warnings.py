"""Warnings: each is issued at the user's line, and muted by its class, a base of it, or the name of either."""

import logging
import warnings

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion import settings as settings_module
from helion.logs import set_up
from helion.runtime import kernel as kernel_module


def double(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


def bind(*sizes, requires_grad=False, **settings):
    """The warnings that binding a new kernel to vectors of these sizes issues."""
    kernel = helion.kernel(double, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for size in sizes:
            kernel.bind((torch.zeros(size, requires_grad=requires_grad),))
    return [w for w in caught if issubclass(w.category, exc.BaseWarning)]


def test_a_gradient_is_not_tracked():
    (found,) = bind(8, requires_grad=True)
    assert found.category is exc.GradientNotTracked
    assert "[HLN401] argument `x` of kernel `double` requires a gradient" in str(found.message)
    assert "help: call it from a torch.autograd.Function" in str(found.message)
    assert found.filename == __file__ and found.lineno == bind.__code__.co_firstlineno + 6


def test_a_gradient_is_not_wanted():
    with torch.no_grad():
        assert not bind(8, requires_grad=True)
    assert not bind(8)


def test_many_specializations(monkeypatch):
    monkeypatch.setattr(kernel_module, "_MANY", 3)
    (found,) = bind(8, 16, 24, 32)
    assert found.category is exc.ManySpecializations
    assert "`double` has been compiled for 3 signatures" in str(found.message)
    assert not bind(8, 16)


@pytest.mark.parametrize(
    "muted",
    [[exc.GradientNotTracked], ["GradientNotTracked"], [exc.BaseWarning], ["ManySpecializations", "BaseWarning"]],
)
def test_muted(muted):
    assert not bind(8, requires_grad=True, ignore_warnings=muted)


def test_muting_another_class_mutes_nothing():
    assert bind(8, requires_grad=True, ignore_warnings=[exc.ManySpecializations])


def test_muted_by_the_environment(monkeypatch):
    monkeypatch.setenv("HELION_IGNORE_WARNINGS", "GradientNotTracked")
    assert not bind(8, requires_grad=True)


@pytest.mark.parametrize("wrong", ["GradientNotTraked", UserWarning, 3])
def test_what_is_no_warning_of_ours_cannot_be_muted(wrong):
    with pytest.raises(exc.InvalidSetting, match="GradientNotTracked"):
        helion.kernel(double, ignore_warnings=[wrong])


def test_codes_of_warnings_are_unique():
    codes = [cls.code for cls in exc.warning_names().values()]
    assert len(set(codes)) == len(codes) and all(code.startswith("HLN4") for code in codes)


@pytest.fixture
def misspelt(monkeypatch):
    """The warnings of misspelt variables that making a kernel, or setting up logs, issues."""
    monkeypatch.setattr(settings_module, "_told", set())

    def issued(logs="", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            helion.kernel(double)
            set_up(logs)
        return [str(w.message) for w in caught if w.category is exc.Misspelt]

    return issued


def test_a_misspelt_variable_is_told_once(misspelt):
    (text,) = misspelt(HELION_AUTOTUNE_EFORT="quick", HELION_SOMETHING_ELSE="1")
    assert "[HLN404] the environment variable HELION_AUTOTUNE_EFORT has no effect" in text
    assert "did you mean HELION_AUTOTUNE_EFFORT?" in text
    assert not misspelt()
    assert len(misspelt(HELION_SKIPCACHE="1")) == 1


def test_a_misspelt_variable_is_muted(misspelt):
    assert not misspelt(HELION_AUTOTUNE_EFORT="quick", HELION_IGNORE_WARNINGS="Misspelt")


@pytest.mark.parametrize("name", ["al", "helion.runtime.kernle", "+helion.tunning", "nosuch"])
def test_a_log_of_no_module_is_told(misspelt, name):
    (text,) = misspelt(logs=name)
    assert f"HELION_LOGS names {name.lstrip('+')!r}, which is no module of helion" in text
    logging.getLogger(name.lstrip("+")).handlers.clear()


@pytest.mark.parametrize("name", ["helion.tuning", "helion.runtime.kernel", "helion_autotune.session"])
def test_a_log_of_a_module_is_not(misspelt, name):
    assert not misspelt(logs=name)
    logging.getLogger(name).handlers.clear()
    logging.getLogger(name).setLevel(logging.NOTSET)
