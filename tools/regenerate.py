"""Generate the Triton of every example under its default config, and show what changed since another revision.

Usage: `python tools/regenerate.py [--revision HEAD] [--target sm_90] [--output FOLDER] [names...]`

Examples are taken at their typical sizes, which need neither a GPU nor memory. The other revision is unpacked into a
temporary folder and runs its own code; each tree generates in a process of its own. `--output` keeps the sources of
this tree. Exits with 1 if an example cannot be generated in this tree.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("packages/helion-core/src", "packages/helion-autotune/src")
EXAMPLES = "packages/helion-core/examples"

# Runs in the tree that it is about: writes <example>.<dtype>.<kernel>.<number>.py, or .error, into a folder.
GENERATE = """
import pathlib, sys, traceback
output, target_name, *names = sys.argv[1:]
import _harness
from helion.runtime.targets import parse_target
target = parse_target(target_name)
for name in names or _harness.names():
    try:
        module = _harness.load(name)
        for dtype in _harness.dtypes(module):
            for number, bound in enumerate(_harness.typical_kernels(module, dtype)):
                stem = f"{name}.{str(dtype).removeprefix('torch.')}.{bound.kernel.name}.{number}"
                config = bound.spec_for(target).default()
                text = f"# {config}\\n{bound.generate(config, target).kernel_source}"
                pathlib.Path(output, f"{stem}.py").write_text(text)
    except Exception:
        pathlib.Path(output, f"{name}.error").write_text(traceback.format_exc())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="examples; all unless given")
    parser.add_argument("--revision", default="HEAD", help="what to compare with")
    parser.add_argument("--target", default="sm_90")
    parser.add_argument("--output", type=Path, help="keep the sources of this tree in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        other = unpacked(options.revision, Path(folder, "tree"))
        before = generated(other, Path(folder, "before"), options)
        after = generated(ROOT, options.output or Path(folder, "after"), options)
    sys.exit(show(before, after))


def unpacked(revision: str, folder: Path) -> Path:
    """The files of `revision` in `folder`."""
    command = ["git", "-C", str(ROOT), "archive", revision, *PACKAGES, EXAMPLES]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def generated(tree: Path, folder: Path, options: argparse.Namespace) -> dict[str, str]:
    """File name to text of everything that `tree` generates."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(tree / part) for part in (*PACKAGES, EXAMPLES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "ignore", "-c", GENERATE, str(folder), options.target, *options.names]
    subprocess.run(command, check=True, env=environment, cwd=tree)
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def show(before: dict[str, str], after: dict[str, str]) -> int:
    """Prints the differences and a summary; returns the exit status."""
    changed = 0
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new and not name.endswith(".error"):
            changed += 1
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"before/{name}", f"after/{name}", lineterm=""
            )
            print("\n".join(lines))
    failed = {name: text for name, text in after.items() if name.endswith(".error")}
    for name, text in failed.items():
        state = "also before" if name in before else "new"
        print(f"{name.removesuffix('.error')} failed ({state}): {text.strip().splitlines()[-1]}")
    kernels = sum(not name.endswith(".error") for name in after)
    print(f"{kernels} kernels generated, {changed} changed, {len(failed)} examples failed")
    return bool(failed)


if __name__ == "__main__":
    main()
