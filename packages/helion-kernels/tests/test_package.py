"""The public names of the package."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata

import pytest

import helion_kernels


def test_version_is_the_installed_one():
    assert helion_kernels.__version__ == metadata.version("helion-kernels")


@pytest.mark.parametrize("name", sorted(helion_kernels.OPS))
def test_names_are_functions(name):
    function = getattr(helion_kernels, name)
    assert callable(function) and function.__name__ == name and function.__doc__
    module = importlib.import_module(f"helion_kernels.{helion_kernels.OPS[name]}")
    assert getattr(module, name) is function
    assert module.SMALL and len(module.SHAPES) >= 5, "typical shapes to tune and to measure"


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="no attribute 'softmix'"):
        _ = helion_kernels.softmix


def test_modules_do_not_hide_functions():
    code = """
import helion_kernels.softmax, helion_kernels.dropout
from helion_kernels import softmax, log_softmax
assert softmax.__name__ == "softmax" and helion_kernels.dropout.__name__ == "dropout"
assert set(helion_kernels.OPS) <= set(dir(helion_kernels))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
