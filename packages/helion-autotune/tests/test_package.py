"""The package as a whole: cheap to import, stands alone, complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

import helion_autotune


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_slow() -> None:
    loaded = loaded_by("import helion_autotune")
    assert "helion_autotune" in loaded
    assert not loaded & {"numpy", "rich", "importlib.metadata", "filelock", "asyncio"}


def test_everything_but_the_extras_imports_without_torch_and_extras() -> None:
    loaded = loaded_by("import helion_autotune as h; [getattr(h, name) for name in h.__all__]")
    assert "numpy" in loaded
    assert not loaded & {"torch", "triton", "optuna", "fsspec", "distributed", "rich"}


@pytest.mark.parametrize("name", helion_autotune.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(helion_autotune, name) is not None


def test_unknown_names_raise() -> None:
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = helion_autotune.nothing_like_that
