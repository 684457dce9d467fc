"""`helion.Settings`: keyword, else environment, else default."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import helion
from helion import exc, settings

SAMPLES = {  # one text and its value per environment variable
    "HELION_USE_DEFAULT_CONFIG": ("1", True),
    "HELION_AUTOTUNE_EFFORT": ("quick", "quick"),
    "HELION_AUTOTUNE_BUDGET_SECONDS": ("2.5", 2.5),
    "HELION_FORCE_AUTOTUNE": ("true", True),
    "HELION_PRINT_OUTPUT_CODE": ("yes", True),
    "HELION_PRINT_REPRO": ("on", True),
    "HELION_STATIC_SHAPES": ("0", False),
    "HELION_INDEX_DTYPE": ("int64", "int64"),
    "TRITON_F32_DEFAULT": ("ieee", "ieee"),
    "HELION_FAST_MATH": ("1", True),
    "HELION_AUTOTUNE_LOG_LEVEL": ("DEBUG", "DEBUG"),
    "HELION_AUTOTUNE_LOG": ("/tmp/log", "/tmp/log"),
    "HELION_AUTOTUNE_COMPILE_TIMEOUT": ("5", 5.0),
    "HELION_AUTOTUNE_PRECOMPILE_JOBS": ("3", 3),
    "HELION_AUTOTUNE_RANDOM_SEED": ("7", 7),
    "HELION_AUTOTUNE_ACCURACY_CHECK": ("no", False),
    "HELION_AUTOTUNE_PROGRESS_BAR": ("off", False),
    "HELION_AUTOTUNER": ("random", "random"),
    "HELION_AUTOTUNE_CACHE": ("layers", "layers"),
    "HELION_INTERPRET": ("1", True),
    "HELION_IGNORE_WARNINGS": ("BaseWarning, BaseWarning", ("BaseWarning", "BaseWarning")),
    "HELION_ALLOW_WARP_SPECIALIZE": ("0", False),
    "HELION_PERSISTENT_RESERVED_SMS": ("4", 4),
}
FIELDS = dataclasses.fields(helion.Settings)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in SAMPLES:
        monkeypatch.delenv(name, raising=False)


def test_every_variable_has_a_sample_here():
    assert {f.metadata["env"] for f in FIELDS if f.metadata["env"] is not None} == set(SAMPLES)


def test_every_setting_is_described():
    assert all(f.metadata["doc"] for f in FIELDS)


@pytest.mark.parametrize("variable", SAMPLES)
def test_environment_beats_default_and_keyword_beats_environment(variable, monkeypatch):
    field = next(f for f in FIELDS if f.metadata["env"] == variable)
    text, value = SAMPLES[variable]
    default = getattr(helion.Settings.resolve({}), field.name)
    assert value != default
    monkeypatch.setenv(variable, text)
    assert getattr(helion.Settings.resolve({}), field.name) == value
    assert getattr(helion.Settings.resolve({field.name: default}), field.name) == default


def test_the_decorator_resolves_settings(monkeypatch):
    monkeypatch.setenv("HELION_USE_DEFAULT_CONFIG", "1")
    monkeypatch.setenv("HELION_STATIC_SHAPES", "0")

    @helion.kernel(static_shapes=True)
    def kernel(x):
        return x

    assert kernel.settings.use_default_config and kernel.settings.static_shapes


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HELION_USE_DEFAULT_CONFIG", "maybe"),
        ("HELION_AUTOTUNE_EFFORT", "enormous"),
        ("HELION_AUTOTUNE_COMPILE_TIMEOUT", "soon"),
        ("HELION_INDEX_DTYPE", "int16"),
    ],
)
def test_a_bad_environment_names_variable_and_text(variable, text, monkeypatch):
    monkeypatch.setenv(variable, text)
    with pytest.raises(exc.InvalidSetting) as caught:
        helion.Settings.resolve({})
    assert f"{variable}={text!r}" in str(caught.value)


@pytest.mark.parametrize("variable", ["HELION_SKIP_CACHE", "HELION_ASSERT_CACHE_HIT"])
def test_a_switch_that_is_neither_on_nor_off_is_named(variable, monkeypatch):
    monkeypatch.setenv(variable, "maybe")
    with pytest.raises(exc.InvalidSetting, match=f"{variable}.*maybe"):
        getattr(helion.settings, variable.removeprefix("HELION_").lower())()


def test_a_budget_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("HELION_AUTOTUNE_BUDGET_SECONDS", "nan")
    with pytest.raises(exc.InvalidSetting, match="autotune_budget_seconds"):
        helion.Settings.resolve({})


def test_a_bad_keyword_names_what_is_allowed():
    with pytest.raises(exc.InvalidSetting, match="allowed: none, quick, full"):
        helion.kernel(autotune_effort="enormous")


def test_an_unknown_keyword_suggests_the_close_one():
    with pytest.raises(exc.InvalidSetting, match="did you mean `static_shapes`"):
        helion.kernel(static_shape=True)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        helion.Settings().fast_math = True


def test_helpers_read_the_environment_when_called(monkeypatch):
    for name in ("HELION_LOGS", "HELION_CACHE_DIR", "HELION_SKIP_CACHE", "HELION_ASSERT_CACHE_HIT"):
        monkeypatch.delenv(name, raising=False)
    found = (settings.log_spec(), settings.cache_directory(), settings.skip_cache(), settings.assert_cache_hit())
    assert found == ("", None, False, False)
    monkeypatch.setenv("HELION_LOGS", "+helion.runtime.kernel")
    monkeypatch.setenv("HELION_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("HELION_SKIP_CACHE", "1")
    monkeypatch.setenv("HELION_ASSERT_CACHE_HIT", "true")
    found = (settings.log_spec(), settings.cache_directory(), settings.skip_cache(), settings.assert_cache_hit())
    assert found == ("+helion.runtime.kernel", "/somewhere", True, True)


def test_importing_helion_imports_nothing_that_takes_long():
    program = (
        "import torch, sys; before = set(sys.modules); import helion, helion.language; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before if not m.startswith(('torch.utils', 'helion'))}; "
        "print(*sorted(new & {'torch', 'triton', 'sympy', 'numpy', 'rich', 'optuna'}), hasattr(helion, 'BoundKernel'))"
    )
    source = Path(helion.__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
