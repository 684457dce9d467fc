"""Jobs for the worker processes of the tests; imported by them, not collected by pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from helion_autotune.errors import DeviceFault, LaunchError

STATE: list[str] = []


def set_state(value: str) -> None:
    STATE.append(value)


def get_state() -> list[str]:
    return STATE


def echo(*values):
    return list(values)


def who() -> dict:
    main = sys.modules["__main__"]
    return {"pid": os.getpid(), "main": getattr(main, "__file__", None), "modules": sorted(sys.modules)}


def noisy() -> str:
    print("to stdout")
    os.system("echo from a child")
    return sys.stdin.read()


def dies(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    os.abort()


def exits() -> None:
    os._exit(7)


def hangs_with_a_child(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def faults() -> None:
    raise DeviceFault("sticky")


def cannot_launch() -> None:
    raise LaunchError("out of resource")


def raises() -> None:
    raise ValueError("some text")


def gives_no_json() -> object:
    return object()


def asks_to_exit() -> None:
    sys.exit(3)


def environment(name: str) -> str | None:
    return os.environ.get(name)


def meets(mine: str, other: str) -> bool:
    open(mine, "w").close()
    deadline = time.monotonic() + 60
    while not os.path.exists(other) and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.path.exists(other)


def broken_setup() -> None:
    raise RuntimeError("no such device")


def setup_that_dies() -> None:
    os.abort()


def compile_for(payload) -> dict:
    """A compile function that takes as long as it is told."""
    time.sleep(payload["seconds"])
    return {}
