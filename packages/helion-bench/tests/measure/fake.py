"""A device with clocks of its own: what the pure parts of measuring are held to."""

from helion_bench.measure.device import Timed


class FakeDevice:
    """Calls are callables that return their time in microseconds; the host needs `host` for each (a number, or a
    function of how many were queued before), and queues no more than `depth` that the GPU is not done with.
    A GPU that comes to a call before all of it is queued waits for the host, and the time comes out longer."""

    def __init__(self, host=5.0, depth=10**6):
        self.host = host if callable(host) else lambda queued: host
        self.depth, self.queued, self.now = depth, 0, 0.0
        self.log = []

    def timed(self, calls, pause_us):
        host, gpu, times, waited, ends = 0.0, pause_us, [], [], []
        for k, call in enumerate(calls):
            if k >= self.depth:
                host = max(host, ends[k - self.depth])
            begin = max(gpu, host)
            host += self.host(self.queued)
            waited.append(begin < host)
            gpu = max(begin, host) + call()
            times.append(gpu - begin)
            ends.append(gpu)
            self.queued += 1
        self.now += gpu
        self.log.append((len(calls), pause_us))
        return Timed(tuple(times), tuple(waited), host / len(calls))

    def host_us(self, calls):
        return self.host(self.queued)

    def captured(self, calls):
        return lambda: sum(call() for call in calls)
