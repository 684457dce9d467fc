"""One clean worker process, seen from the parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from helion_autotune.errors import CANDIDATE_ERRORS, CandidateTimeout, JobFailed, WorkerCrashed
from helion_autotune.evaluate import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Not `python -m`, which would put the current directory first; the parent's own sys.path instead, whatever it is.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2].split('\\n'); "
    "from helion_autotune.evaluate.worker import main; main(int(sys.argv[1]))"
)
_TAIL_BYTES = 2000


class WorkerProcess:
    """A started worker. Not thread-safe: one thread starts it and makes all calls, and must outlive it."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        path = "\n".join(os.path.abspath(entry) for entry in sys.path)
        self.killed = False
        """Whether it was told to die; then no job may go to it, even if it has answered since."""
        self._stderr = tempfile.TemporaryFile(mode="a+b")  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, str(os.getpid()), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(env),
            start_new_session=True,  # its own process group: killing it takes compilers it started along
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def call(self, function: str, arguments: Sequence[Any], seconds: float | None) -> Any:
        """Run one job and wait for its result.

        Raises CandidateTimeout after ``seconds`` and WorkerCrashed if the process dies; it is gone after both.
        Raises the job's own CandidateError, or JobFailed with the text of any other exception.
        """
        self._stderr.truncate(0)
        try:
            wire.write(self._to, {"function": function, "arguments": list(arguments)})
            reply = wire.read(self._from, seconds)
        except wire.Late:
            self.kill()
            raise CandidateTimeout(f"took longer than {seconds:g} s; its process was killed") from None
        except (wire.EndOfStream, OSError):
            raise WorkerCrashed(self._epitaph()) from None
        if "result" in reply:
            return reply["result"]
        error = CANDIDATE_ERRORS.get(reply.get("error") or "", JobFailed)
        raise error(reply.get("message", ""))

    def kill(self) -> None:
        """Kill the process and everything it started. Safe to call from any thread, and twice."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process, reap it, and release its pipes."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _epitaph(self) -> str:
        self.kill()
        code = self._process.wait()
        how = f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL_BYTES))
        tail = self._stderr.read().decode(errors="replace").strip()
        return f"its process died ({how})" + (f"; last words:\n{tail}" if tail else "")


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(changes or {})}  # noqa: TID251 - handed on, not read
