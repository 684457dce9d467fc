"""Runs generated code: specialisation, compilation for a target, launches on the GPU or in Triton's interpreter.

`definition`: a kernel as its author wrote it. `specialization`: it for some kind of arguments, with the code of every
config, which `binaries/` compiles and `launching/` launches. `kernel` and `bound`: the two as users call them;
`recognition/` finds out which specialisation a call belongs to.
"""
