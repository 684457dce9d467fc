"""What a benchmark run measured, as frozen values; `codec` gives them their JSON form.

A `Run` holds one `Cell` per case and backend. The runner makes both, the statistics and the reports only read them.
What the statistics rely on:

- The samples of a cell are grouped by *round*. In one round every backend of a case is measured in turn, so the
  samples of round `i` of two cells of one case met the same clocks and temperature. A round that was dropped stays as
  an empty group, or the pairing would be lost.
- At least 8 rounds are needed for a difference to be significant among hundreds of cases; a quick run may have fewer,
  and then "unclear" is the answer.
- Every case and backend that was asked for has a cell. One that could not run says so in `status` and `reason`.

Times are in microseconds unless the name says otherwise. Floats are finite; what is unknown is None.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

SCHEMA = 1
"""Version of the JSON form. A change that old readers would misunderstand raises it."""

MAX_SAMPLES = 400
"""Samples kept of one cell; `Latency.of` thins what is more, evenly over the rounds."""

SIGNIFICANT_DIGITS = 5

Pass = Literal["fwd", "bwd", "fwd+bwd"]
"""`fwd+bwd`: both as one call, where libraries differ in which of the two computes the gradients."""


class Status(str, Enum):
    """How a cell ended."""

    OK = "ok"
    """Ran, and right as far as it was checked."""
    WRONG = "wrong"
    """Ran, but beyond the tolerance; its times are kept, and never count as a win."""
    ERROR = "error"
    """Raised, or its process died."""
    TIMEOUT = "timeout"
    """Was stopped after its time limit."""
    SKIPPED = "skipped"
    """Not tried: the backend does not support the case, or the request excludes it."""
    MISSING = "missing"
    """The backend is not there on this machine (not installed, no GPU)."""


class Role(str, Enum):
    """What a backend is in a comparison."""

    OURS = "ours"
    """Helion's, and what a regression is looked for in. The first of them in `Run.backends` is the headline."""
    PEER = "peer"
    """What a user would pick instead: speed-ups are against these, and they are the control between two runs."""


@dataclass(frozen=True)
class CaseKey:
    """What was computed: the identity of a case, also between runs.

    `shape` is the label shown ("8192x8192", "llama-7b"), `sizes` what it stands for, in order. `dtype` is torch's name
    without "torch.".
    """

    op: str
    shape: str
    sizes: tuple[tuple[str, int], ...]
    dtype: str
    pass_: Pass = "fwd"

    @property
    def id(self) -> str:
        """One line for people and for files: `softmax/8192x8192/bfloat16/fwd`."""
        return f"{self.op}/{self.shape}/{self.dtype}/{self.pass_}"


@dataclass(frozen=True)
class Latency:
    """Samples of the time of one call in microseconds, grouped by round.

    `method` says how they were taken ("events", "cuda-graph", "wall"). `throttled_dropped` counts the samples left
    out because the GPU was throttling. `sm_mhz` is the usual clock of the multiprocessors meanwhile. `host_bound`: the
    GPU waited for the host, so that this is the time of a call rather than that of its kernels.
    """

    rounds: tuple[tuple[float, ...], ...]
    method: str
    throttled_dropped: int = 0
    sm_mhz: float | None = None
    host_bound: bool = False

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) and x > 0 for group in self.rounds for x in group):
            raise ValueError("latencies are finite and above 0")

    @classmethod
    def of(
        cls, rounds: Iterable[Sequence[float]], method: str, throttled_dropped: int = 0, sm_mhz: float | None = None,
        *, host_bound: bool = False,
    ) -> Latency:  # fmt: skip
        """Rounded to `SIGNIFICANT_DIGITS` and thinned evenly to at most `MAX_SAMPLES` (at least one a round)."""
        groups = [list(group) for group in rounds]
        share = max(1, MAX_SAMPLES // max(1, len(groups)))
        kept = tuple(tuple(significant(x) for x in _thinned(group, share)) for group in groups)
        return cls(kept, method, throttled_dropped, sm_mhz, host_bound)

    @property
    def samples(self) -> tuple[float, ...]:
        """All samples, round after round."""
        return tuple(x for group in self.rounds for x in group)


@dataclass(frozen=True)
class Accuracy:
    """The worst deviation from the reference, element by element, and what was allowed.

    `ok` is |result - reference| <= absolute + relative * |reference| everywhere, where the absolute tolerance grows
    with the root mean square of a row that exceeds the whole tensor's (see `helion_bench.cases.verdict`). `max_abs`
    and `max_rel` are None where the result holds NaN or infinities that the reference does not.
    """

    ok: bool
    max_abs: float | None
    max_rel: float | None
    tolerance_abs: float
    tolerance_rel: float
    reference: str = "float64"

    def __post_init__(self) -> None:
        for value in (self.max_abs, self.max_rel, self.tolerance_abs, self.tolerance_rel):
            if value is not None and not math.isfinite(value):
                raise ValueError("errors and tolerances are finite; an error that is not is None")


@dataclass(frozen=True)
class CompileFacts:
    """What the compiler says of one kernel for one target; no GPU of that kind is needed.

    A kernel that does not compile for the target has `error` and nothing else.
    """

    target: str
    kernel: str = ""
    registers: int | None = None
    spills: int | None = None
    shared_bytes: int | None = None
    code_bytes: int | None = None
    matrix_instructions: str = ""
    error: str = ""


@dataclass(frozen=True)
class Cell:
    """One case on one backend. Everything but a status other than "ok" may be absent: not every metric is asked for.

    `bytes_moved` and `flops` are the least that the computation needs, the same for every backend of a case.
    `host_overhead_us` is the time of one call on the host, the median of many behind a short queue. `peak_memory_bytes`
    is above the inputs. `compile_seconds` is the first call less a later one. `config` is what the backend chose, as
    text. `spent` are the seconds that measuring took, by step; those of the case as a whole stand with one cell of it.
    """

    case: CaseKey
    backend: str
    status: Status
    reason: str = ""
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    bytes_moved: int | None = None
    flops: int | None = None
    compile_seconds: float | None = None
    host_overhead_us: float | None = None
    peak_memory_bytes: int | None = None
    config: str = ""
    facts: tuple[CompileFacts, ...] = ()
    spent: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.status is not Status.OK and not self.reason:
            raise ValueError(f"a cell that is {self.status.value} needs a reason")

    @property
    def key(self) -> tuple[CaseKey, str]:
        """What names the cell within a run, and the same cell in another."""
        return self.case, self.backend


@dataclass(frozen=True)
class Backend:
    """A backend of a run: its role, the version of what it calls, and why it is not there if it is not."""

    name: str
    role: Role
    version: str = ""
    description: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Peaks:
    """The ceilings of a roofline: memory in GB/s, and TFLOP/s by dtype; `source` says where the figures come from."""

    gbps: float | None = None
    tflops: tuple[tuple[str, float], ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Machine:
    """Where a run took place. `gpu` is the name the driver gives, or "cpu" for a run without one; it names the folder
    that results are kept in. Clocks are those when the run began, of a GPU that may have been idle; those of the rounds
    stand with the latencies."""

    gpu: str
    gpu_count: int = 0
    compute_capability: str = ""
    sm_clock_mhz: int | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_limit_watts: float | None = None
    driver: str = ""
    cuda: str = ""
    cpu: str = ""
    cpu_count: int | None = None
    system: str = ""
    peaks: Peaks = Peaks()


@dataclass(frozen=True)
class Software:
    """Versions of what a run used; `commit` is that of the checkout, `dirty` whether files differed from it."""

    python: str
    torch: str = ""
    triton: str = ""
    helion: str = ""
    commit: str = ""
    dirty: bool = False


@dataclass(frozen=True)
class Run:
    """Everything one run measured. `started` is UTC in ISO 8601; `complete` is False where it was interrupted, or ended
    because its time was spent, which `out_of_time` tells.

    `notes` are warnings about the run as a whole (clocks not locked, another process on the GPU).
    """

    id: str
    started: str
    command: tuple[str, ...]
    machine: Machine
    software: Software
    backends: tuple[Backend, ...]
    cells: tuple[Cell, ...] = ()
    name: str = ""
    seconds: float = 0.0
    complete: bool = False
    notes: tuple[str, ...] = ()
    out_of_time: bool = False

    @property
    def by_key(self) -> Mapping[tuple[CaseKey, str], Cell]:
        return {cell.key: cell for cell in self.cells}

    @property
    def cases(self) -> tuple[CaseKey, ...]:
        """The cases in the order they were first met."""
        return tuple(dict.fromkeys(cell.case for cell in self.cells))

    def names(self, role: Role) -> tuple[str, ...]:
        """The backends of a role, in order."""
        return tuple(backend.name for backend in self.backends if backend.role is role)

    def with_cells(self, cells: Iterable[Cell]) -> Run:
        """The same run with these cells added; a cell of the same key is replaced."""
        merged = dict(self.by_key) | {cell.key: cell for cell in cells}
        return dataclasses.replace(self, cells=tuple(merged.values()))


def significant(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """`value` rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")


def _thinned(group: Sequence[float], share: int) -> Sequence[float]:
    if len(group) <= share:
        return group
    return [group[i * len(group) // share] for i in range(share)]
