"""A device with a clock of its own: what the pure parts of measuring are held to."""

from helion_bench.measure.device import Timed


class FakeDevice:
    """Calls are callables that return their time in microseconds. The host needs `host` for each; a GPU that finished
    its pause before all are queued waits for the host, and times come out longer."""

    def __init__(self, host=5.0):
        self.host, self.now = host, 0.0
        self.log = []

    def timed(self, calls, pause_us):
        queued = len(calls) * self.host
        behind = pause_us >= queued
        times = tuple(call() + (0.0 if behind else self.host) for call in calls)
        self.now += pause_us + sum(times)
        self.log.append((len(calls), pause_us))
        return Timed(times, behind)

    def host_us(self, calls):
        return self.host

    def captured(self, calls):
        return lambda: sum(call() for call in calls)
