"""What the four packages must agree on, and which way they may depend on each other."""

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
VERSION = runpy.run_path(str(ROOT / "VERSION.py"))["__version__"]
# Import name, and the packages of ours it may import: each may know those below it, none above.
IMPORTS = {
    "helion-autotune": ("helion_autotune", set()),
    "helion-core": ("helion", {"helion_autotune"}),
    "helion-kernels": ("helion_kernels", {"helion"}),
    "helion-bench": ("helion_bench", {"helion", "helion_autotune", "helion_kernels"}),
}
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
OURS = {name for name, _ in IMPORTS.values()}


def load(package: str) -> dict:
    return tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())


def requirements(package: str) -> Iterator[str]:
    project = load(package)["project"]
    yield from project.get("dependencies", [])
    for extra in project.get("optional-dependencies", {}).values():
        yield from extra


def siblings(package: str) -> dict[str, str]:
    """The requirements on our own packages: name to what follows the name."""
    split = [re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(.*)", item).groups() for item in requirements(package)]
    return {name: pin for name, pin in split if name.startswith("helion")}


def test_every_package_is_known_here():
    assert sorted(IMPORTS) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_version_is_the_shared_one(package: str):
    config = load(package)
    assert config["project"]["dynamic"] == ["version"]
    assert config["tool"]["hatch"]["version"] == {"path": "../../VERSION.py"}


@pytest.mark.parametrize("package", PACKAGES)
def test_installed_version_is_the_shared_one(package: str):
    assert metadata.version(package) == VERSION, "stale installation: `hatch env remove default`, then again"


@pytest.mark.parametrize("package", PACKAGES)
def test_siblings_are_pinned_to_the_shared_version(package: str):
    assert all(pin == f"=={VERSION}" for pin in siblings(package).values()), siblings(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_siblings_required_are_those_that_may_be_imported(package: str):
    allowed = {name for name, (module, _) in IMPORTS.items() if module in IMPORTS[package][1]}
    assert set(siblings(package)) == allowed


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_whole(package: str):
    folder = ROOT / "packages" / package
    assert load(package)["build-system"]["requires"] == ["hatchling>=1.27,<1.32"]
    assert (folder / "README.md").read_text().startswith(f"# {package}\n")
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (folder / "src" / IMPORTS[package][0] / "py.typed").exists()


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def offences(package: str, source: str) -> list[str]:
    own, allowed = IMPORTS[package]
    found = []
    for line, name in imported_modules(ast.parse(source)):
        top, *rest = name.split(".")
        if top in OURS - allowed - {own}:
            found.append(f"{line}: {package} may not import {top}")
        elif top in allowed and any(part.startswith("_") and not part.startswith("__") for part in rest):
            found.append(f"{line}: {name} is private to another package")
        elif package == "helion-autotune" and top in {"torch", "triton"}:
            found.append(f"{line}: helion-autotune needs no {top}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_layers(package: str):
    files = sorted((ROOT / "packages" / package / "src").rglob("*.py"))
    found = [f"{file}:{offence}" for file in files for offence in offences(package, file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("helion-core", "import helion_kernels.matmul"),
        ("helion-core", "from helion_autotune._session import Session"),
        ("helion-core", "from helion_autotune.space import _encode"),
        ("helion-kernels", "def f():\n    import helion_bench"),
        ("helion-autotune", "import torch.nn"),
    ],
)
def test_the_layer_check_sees(package: str, source: str):
    assert offences(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("helion-core", "from helion._own import thing\nimport torch._inductor\nimport helion_autotune as tune"),
        ("helion-bench", "from helion_kernels import __version__\nimport helion.language as hl"),
    ],
)
def test_the_layer_check_lets_through(package: str, source: str):
    assert not offences(package, source)


def test_set_version_changes_version_and_pins_together(tmp_path: Path):
    for source in [ROOT / "VERSION.py", *ROOT.glob("packages/*/pyproject.toml")]:
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())
    set_version = runpy.run_path(str(ROOT / "tools" / "set_version.py"))["set_version"]

    changed = set_version(tmp_path, "9.8.7")
    assert [str(file.relative_to(tmp_path)) for file in changed] == [
        "VERSION.py",
        *(f"packages/{package}/pyproject.toml" for package in PACKAGES if siblings(package)),
    ]
    for file in changed:
        text = file.read_text()
        assert "9.8.7" in text
        assert VERSION not in text
