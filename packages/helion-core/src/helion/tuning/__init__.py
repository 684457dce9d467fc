"""Choosing a config by measuring: helion-core's use of helion-autotune.

In: a bound kernel and the arguments of a call. Out: a config. `choose` decides where the config comes from, `search`
runs the tuner, `problem` makes candidates of configs, `worker` compiles them in processes that import neither torch
nor the user's script, `device` measures them in a process of its own, `key` says what a result depends on.
"""
