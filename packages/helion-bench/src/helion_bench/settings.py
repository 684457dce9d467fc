"""The environment variables that helion-bench reads; this is the only module that does."""

from __future__ import annotations

import os
from pathlib import Path

RESULTS = "HELION_BENCH_RESULTS"


def results_folder() -> Path | None:
    """Where runs are kept, from `HELION_BENCH_RESULTS`; None for the user's data folder."""
    text = os.environ.get(RESULTS, "").strip()
    return Path(text) if text else None
