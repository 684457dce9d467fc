import ast
import graphlib
from importlib import metadata
from pathlib import Path

import helion_bench

SOURCE = Path(helion_bench.__file__).parent


def test_version_is_the_installed_one():
    assert helion_bench.__version__ == metadata.version("helion-bench")


def test_no_module_imports_in_a_circle():
    """Neither at its top nor within a function: a circle means that something stands in the wrong file."""
    files = {_module(file): file for file in SOURCE.rglob("*.py")}
    graph = {name: {m for m in _imported(name, file) if m in files and m != name} for name, file in files.items()}
    assert len(graph) > 100 and any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def _module(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, file: Path) -> set[str]:
    """Modules that a file imports, and the packages of names that are none."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = node.level - (file.name == "__init__.py")
            base = name.rsplit(".", up)[0] if node.level and up else name if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            names = {f"{module}.{alias.name}" for alias in node.names}
            modules = {one for one in names if (SOURCE.parent / Path(*one.split("."))).with_suffix(".py").exists()}
            found |= modules or {module}
    return found
