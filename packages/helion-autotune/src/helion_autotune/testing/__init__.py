"""For those who write strategies, caches or evaluators: conformance suites, simulated landscapes, comparisons."""
