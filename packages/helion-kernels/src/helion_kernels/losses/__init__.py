"""Losses of logits: `forward` and `backward`, their kernels; `padded`, the memory of logits that a product writes."""
