"""Cells as they are found, a line each, in a file that outlives the process that finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(path: str, entry: dict[str, Any]) -> None:
    """Add an entry."""
    with Path(path).open("a") as file:
        file.write(json.dumps(entry) + "\n")


class Reader:
    """Reads while the other process still writes; `seen` are the entries so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen: list[dict[str, Any]] = []

    def new(self) -> list[dict[str, Any]]:
        """Entries added since the last call; a line that is not at its end yet is left for the next."""
        if not self._path.exists():
            return []
        whole = self._path.read_text().rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in whole[len(self.seen) :]]
        self.seen += found
        return found
