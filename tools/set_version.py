"""Set the version of all packages: `VERSION.py` and the pins on sibling packages, together.

Usage: `python tools/set_version.py 0.2.0`
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def set_version(root: Path, version: str) -> list[Path]:
    """Write `version` wherever it stands in the checkout `root`; returns the files that changed."""
    edits = {root / "VERSION.py": (r'(__version__ = ")[^"]*', rf"\g<1>{version}")}
    for file in sorted(root.glob("packages/*/pyproject.toml")):
        edits[file] = (r'("helion-[a-z]+(?:\[[^\]]*\])?==)[^"]*', rf"\g<1>{version}")
    changed = []
    for file, (pattern, replacement) in edits.items():
        old = file.read_text()
        new = re.sub(pattern, replacement, old)
        if new != old:
            file.write_text(new)
            changed.append(file)
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    for file in set_version(ROOT, parser.parse_args().version):
        print(file.relative_to(ROOT))
    print("now: hatch env remove default, and a line in CHANGELOG.md")


if __name__ == "__main__":
    main()
