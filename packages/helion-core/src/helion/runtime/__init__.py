"""Runs generated code: specialisation, compilation for a target, launches on the GPU or in Triton's interpreter."""
