"""Install what `hatch build --all` left in `dist/` into clean virtual environments, and use it.

Usage: `python tools/check_wheels.py [--torch torch==2.13.0] [--sdists]`

The wheels come first; with `--sdists` the source archives too, each built into a wheel by pip on the way. Our packages
are the files in `dist/`: the exact pins leave no alternative. What they depend on comes from the package index, torch
as `--torch` says and before the rest, so that no other build of it is fetched. Exits with 1, and says why, if an
artefact is missing, an installation fails or a package does not import.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = {
    "helion-autotune": "helion_autotune",
    "helion-core": "helion",
    "helion-kernels": "helion_kernels",
    "helion-bench": "helion_bench",
}
# Run in the clean environment: every package imports from site-packages, typed, and is the version asked for.
PROBE = """
import importlib, importlib.metadata, pathlib, sys
for pair in sys.argv[2:]:
    package, module = pair.split("=")
    file = pathlib.Path(importlib.import_module(module).__file__)
    assert "site-packages" in file.parts, file
    assert (file.parent / "py.typed").exists(), f"{package} ships no py.typed"
    version = importlib.metadata.version(package)
    assert version == sys.argv[1], (package, version)
    print(f"{package} {version}: import {module}")
"""
# And computes: one operation by its kernel in the interpreter, the same as torch gives.
USE = """
import torch
from helion_kernels import settings, softmax
x = torch.randn(5, 100)
with settings.override("interpret"):
    torch.testing.assert_close(softmax(x), torch.softmax(x, -1))
"""


def artefacts(dist: Path, version: str, suffix: str) -> list[Path]:
    """The four files of one kind, in the order in which the packages depend on each other."""
    files = [dist / f"{package.replace('-', '_')}-{version}{suffix}" for package in MODULES]
    if missing := [file.name for file in files if not file.exists()]:
        sys.exit(f"{dist} lacks {', '.join(missing)}: run `hatch build --all` first")
    return files


def check(files: list[Path], version: str, torch: str) -> None:
    """Install `files` in a new environment and import the four packages there."""
    with tempfile.TemporaryDirectory(prefix="helion-wheels-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        names = [str(file) for file in files]
        # torch first and alone: what comes after is then resolved against it.
        subprocess.run([*pip, "install", torch], check=True)
        subprocess.run([*pip, "install", *names], check=True)
        subprocess.run([*pip, "check"], check=True)
        pairs = [f"{package}={module}" for package, module in MODULES.items()]
        subprocess.run([python, "-I", "-c", PROBE, version, *pairs], check=True, cwd=folder)
        subprocess.run([python, "-I", "-c", USE], check=True, cwd=folder)
        subprocess.run([str(Path(folder) / "bin" / "helion-bench"), "--version"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--torch", default="torch==2.13.0", help="requirement that torch is installed by")
    parser.add_argument("--sdists", action="store_true", help="check the source archives too")
    options = parser.parse_args()

    version = (ROOT / "VERSION.py").read_text().split('__version__ = "')[1].split('"')[0]
    kinds = {"wheels": "-py3-none-any.whl"} | ({"source archives": ".tar.gz"} if options.sdists else {})
    for kind, suffix in kinds.items():
        print(f"{kind}:", flush=True)
        try:
            check(artefacts(options.dist, version, suffix), version, options.torch)
        except subprocess.CalledProcessError as error:
            sys.exit(f"{kind} are broken: {error}")


if __name__ == "__main__":
    main()
