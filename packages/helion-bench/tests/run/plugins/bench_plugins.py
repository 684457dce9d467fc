"""An operation, backends of all bad manners, and a device with a clock that always says the same, as a plug-in."""

import contextlib
import os
import signal
import time

import torch
import triton
import triton.language as tl

from helion_bench.backends.backend import Backend
from helion_bench.cases.operation import Operation, Shape
from helion_bench.measure.device import Timed
from helion_bench.run import worker


class Double(Operation):
    """2 x."""

    name = "double"
    ours = "helion_kernels:double"
    shapes = (
        Shape({"rows": 4, "cols": 8}, quick=True),
        Shape({"rows": 5, "cols": 3}),
        Shape({"rows": 2, "cols": 2}, cpu=True),
    )

    def make(self, sizes, dtype, random):
        return {"x": random.normal(sizes["rows"], sizes["cols"], dtype=dtype)}

    def eager(self, **inputs):
        return inputs["x"] * 2

    def flops(self, sizes, pass_):
        return float(sizes["rows"] * sizes["cols"])

    def bytes(self, sizes, itemsize, pass_):
        return 2.0 * sizes["rows"] * sizes["cols"] * itemsize


class Good(Backend):
    name = "good"
    description = "computes it"
    routine = False
    cpu = True

    def declines(self, case):
        return None if case.op == "double" else "computes double only"

    def implement(self, case, operation):
        return self.compute

    def compute(self, x):
        return x + x


class Other(Good):
    name = "other"


class Raises(Good):
    name = "raises"

    def compute(self, x):
        raise ValueError("no such luck")


class Wrong(Good):
    name = "wrong"

    def compute(self, x):
        return x * 2 + torch.eye(*x.shape, dtype=x.dtype)


class Writes(Good):
    name = "writes"

    def compute(self, x):
        return x.add_(x)


class Hangs(Good):
    name = "hangs"

    def compute(self, x):
        time.sleep(1000)


class Kills(Good):
    name = "kills"

    def compute(self, x):
        os.kill(os.getpid(), signal.SIGSEGV)


class Roomy(Good):
    """Finds no memory the first time in each process."""

    name = "roomy"
    calls = 0

    def compute(self, x):
        self.calls += 1
        if self.calls == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return x + x


class Seeks(Good):
    """Measures candidates in its first call, for which it must be alone."""

    name = "seeks"
    searches = True

    def compute(self, x):
        if not worker._begun:
            raise RuntimeError("other cases are still being checked")
        return x + x


class Late(Good):
    """Ends the process once it is being timed."""

    name = "late"

    def implement(self, case, operation):
        self.calls = 0
        return self.compute

    def compute(self, x):
        self.calls += 1
        if self.calls > 20:
            os._exit(3)
        return x + x


class Uncapturable(Good):
    """Ends the process where it is captured in a CUDA graph."""

    name = "uncapturable"

    def compute(self, x):
        if FakeDevice.capturing:
            os._exit(4)
        return x + x


class Waits(Good):
    """Waits for the GPU within each call."""

    name = "waits"

    def compute(self, x):
        FakeDevice.waited = True
        return x + x


class Faults(Good):
    """Reads where nothing is."""

    name = "faults"

    def compute(self, x):
        out = torch.empty_like(x)
        _fault[(1,)](out, 1 << 60)
        return out


@triton.jit
def _fault(out, address):
    tl.store(out, tl.load(address.to(tl.pointer_type(tl.bfloat16))))


class Absent(Good):
    name = "absent"

    def why_not(self):
        return "not installed (pip install absent)"


class FakeDevice:
    """CPU tensors; every call takes ten microseconds."""

    torch_device = torch.device("cpu")
    l2_bytes = 0
    uuid = ""
    capturing = False
    waited = False

    def active(self):
        return contextlib.nullcontext()

    def synchronize(self):
        pass

    def alive(self):
        return True

    def timed(self, calls, pause_us):
        waited = []
        for call in calls:
            type(self).waited = False
            call()
            waited.append(self.waited)
        return Timed((10.0,) * len(calls), tuple(waited), host_us=3.0)

    def captured(self, calls):
        type(self).capturing = True
        try:
            for call in calls:
                call()
        finally:
            type(self).capturing = False
        return calls[0]

    def host_us(self, calls):
        return 3.0

    def peak_bytes(self, call):
        call()
        return 4096
