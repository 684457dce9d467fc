from collections import OrderedDict
from types import SimpleNamespace

REGISTERED_BENCHMARKS = {}
BASELINE_BENCHMARKS = {}


def register_benchmark(operator_name, func_name, baseline=False):
    def decorator(function):
        REGISTERED_BENCHMARKS.setdefault(operator_name, OrderedDict())[func_name] = None
        if baseline:
            BASELINE_BENCHMARKS[operator_name] = func_name
        return lambda self, *args: function(self, *args)

    return decorator


class BenchmarkOperator:
    def __init__(self, tb_args, extra_args):
        self.tb_args, self.device = tb_args, tb_args.device

    def get_input_iter(self):
        raise NotImplementedError

    def run(self, warmup, rep):
        result = []
        names = [n for n in REGISTERED_BENCHMARKS[self.name] if n not in self.tb_args.skip.split(",")]
        names.sort(key=lambda n: n != BASELINE_BENCHMARKS[self.name])
        for number, inputs in enumerate(self.get_input_iter()):
            self._cur_input_id, self.example_inputs, self.baseline_fn = number, inputs, None
            found = {n: self._do_bench(input_id=number, fn_name=n, baseline=n == names[0]) for n in names}
            result.append((self.get_x_val(inputs), found))
        self.output = SimpleNamespace(result=result)

    def _do_bench(self, input_id, fn_name, baseline):
        metrics = SimpleNamespace(error_msg=None, latency="0.25" if "latency" in self.tb_args.metrics else None)
        try:
            fn = getattr(self, fn_name)(*self.example_inputs)
            fn._name = fn_name
            if baseline:
                self.baseline_fn = fn
            elif self.baseline_fn is not None:
                metrics.accuracy = self.accuracy(fn, self.baseline_fn)
        except Exception as error:
            metrics.error_msg = str(error)
        return metrics
