"""Kernels of attention: `band` (which keys a query sees), `forward`, `backward`, and `varlen` for packed sequences."""
