"""Which way modules of a package import each other: never in a circle; a folder of helion-core only those below it."""

import ast
import graphlib
from collections.abc import Collection
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"
SOURCES = sorted(path.parent for path in PACKAGES.glob("*/src/*/__init__.py"))


def modules(source: Path) -> dict[str, Path]:
    """The modules under the folder of a package, by name."""
    parts = {file: file.relative_to(source.parent).with_suffix("").parts for file in source.rglob("*.py")}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): file for file, p in parts.items()}


def neighbours(name: str, file: Path, known: Collection[str]) -> set[str]:
    """The modules of its own package that one imports, within functions and for annotations too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            base = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {n if (n := f"{module}.{alias.name}") in known else module for alias in node.names}
    return found & set(known) - {name}


def imports_within(source: Path) -> dict[str, set[str]]:
    """What each module imports. The face of a package is left out: it only hands names on."""
    files = modules(source)
    return {name: neighbours(name, file, files) for name, file in files.items() if name != source.name}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_modules_import_each_other_in_a_circle(source: Path):
    """A circle means that something stands in the wrong file."""
    graph = imports_within(source)
    assert len(graph) > 30 and any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_search_for_circles_sees_imports_of_all_kinds(tmp_path: Path):
    files = {
        "__init__.py": "from .a import thing", "a.py": "def f():\n    from .inner import b", "inner/__init__.py": "",
        "inner/b.py": "if TYPE_CHECKING:\n    from ..c import Thing", "c.py": "import ours.inner.d",
        "inner/d.py": "from ours import a\nfrom . import b",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / "ours" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert imports_within(tmp_path / "ours") == {
        "ours.a": {"ours.inner.b"}, "ours.inner": set(), "ours.inner.b": {"ours.c"}, "ours.c": {"ours.inner.d"},
        "ours.inner.d": {"ours.a", "ours.inner.b"},
    }  # fmt: skip


# The folders of helion-core, from the ground up: each imports from those before it.
LAYERS = (
    "ir", "frontend", "language", "lower", "emit", "trace", "interpret", "runtime", "integration", "tuning", "export",
    "explain", "command",
)  # fmt: skip
# What torch is doing is asked below, too; and kernels have methods that lead to what stands on them.
UPWARDS = {
    "helion.runtime.kernel": {"integration", "tuning"},
    "helion.runtime.bound": {"integration", "tuning", "export"},
    "helion.runtime.launching.launch": {"integration"},
    "helion.runtime.launching.straight": {"integration"},
    "helion.runtime.recognition.recent": {"integration"},
}


def test_folders_of_helion_core_are_layers():
    graph = imports_within(PACKAGES / "helion-core/src/helion")
    upwards: dict[str, set[str]] = {}
    for module, imported in graph.items():
        own = module.split(".")[1]
        for folder in {name.split(".")[1] for name in imported if "." in name} & set(LAYERS):
            if own in LAYERS and LAYERS.index(folder) > LAYERS.index(own):
                upwards.setdefault(module, set()).add(folder)
    assert upwards == UPWARDS
