"""Configs and settings that do not exist or do not fit the kernel."""

import os

import torch

import helion
import helion.language as hl
from helion import exc

from .record import V, mistake


@mistake(exc.InvalidConfig, None, "`block_sizes`", "has 1 entries", "has 2", config={"block_sizes": [32]})
def too_few_block_sizes(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n]
    return out


@mistake(
    exc.InvalidConfig, None, "`block_sizes`", "has 3 entries", "has 1", args=(V,), config={"block_sizes": [32, 32, 32]}
)
def too_many_block_sizes(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`block_sizes[0]`", "48", "power of two", args=(V,), config={"block_sizes": [48]})
def block_size_that_is_no_power_of_two(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`block_sizes[0]`", "'32'", args=(V,), config={"block_sizes": ["32"]})
def block_size_as_text(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`num_warp`", "did you mean `num_warps`", args=(V,), config={"num_warp": 4})
def misspelt_config_key(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`BLOCK_SIZE`", "did you mean `block_sizes`", args=(V,), config={"BLOCK_SIZE": 64})
def config_key_as_in_triton(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`num_warps`", "3", "power of two", args=(V,), config={"num_warps": 3})
def three_warps(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`num_stages`", "0", "1 to 8", args=(V,), config={"num_stages": 0})
def no_stages(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`pid_type`", "'persistent'", "persistent_blocked", config={"pid_type": "persistent"})
def unknown_pid_type(x):
    for tile_m, tile_n in hl.tile(x.size()):
        x[tile_m, tile_n] = 0.0
    return x


@mistake(exc.InvalidConfig, None, "`indexing", "'pointers'", "pointer", args=(V,), config={"indexing": "pointers"})
def unknown_indexing(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = x[tile] * 2
    return x


@mistake(exc.InvalidConfig, None, "`loop_orders[0]`", "permutation", config={"loop_orders": [[0, 0]]})
def loop_order_that_is_no_permutation(x):
    for tile_m, tile_n in hl.tile(x.size()):
        x[tile_m, tile_n] = 0.0
    return x


@mistake(exc.InvalidConfig, "helion.Config(block_size=32, block_sizes=[64])", "contradicts", script=True)
def both_spellings_of_a_key():
    helion.Config(block_size=32, block_sizes=[64])


@mistake(exc.InvalidConfig, 'helion.Config(use_yz_grid="yes")', "`use_yz_grid`", "bool", script=True)
def yz_grid_as_text():
    helion.Config(use_yz_grid="yes")


@mistake(exc.InvalidConfig, 'helion.Config.from_json("{block_sizes: 3}")', "not JSON", script=True)
def config_text_that_is_not_json():
    helion.Config.from_json("{block_sizes: 3}")


@mistake(exc.InvalidConfig, 'helion.Config.from_json("[64]")', "list", "JSON object", script=True)
def config_text_that_is_a_list():
    helion.Config.from_json("[64]")


@mistake(exc.InvalidConfig, "helion.kernel(config={}, configs=[])", "config", "one of the two", script=True)
def config_and_configs():
    helion.kernel(config={}, configs=[])


@mistake(exc.InvalidConfig, "helion.kernel(config=[64])", "list", "helion.Config", script=True)
def config_that_is_a_list():
    helion.kernel(config=[64])


@mistake(exc.InvalidConfig, "helion.kernel(configs=helion.Config(block_sizes=[64]))", "configs", "list", script=True)
def configs_that_is_one_config():
    helion.kernel(configs=helion.Config(block_sizes=[64]))


@mistake(exc.InvalidConfig, 'helion.Config.load("/nowhere/config.json")', "/nowhere/config.json", script=True)
def config_file_that_does_not_exist():
    helion.Config.load("/nowhere/config.json")


@mistake(
    exc.InvalidSetting,
    "helion.kernel(static_shape=True)",
    "`static_shape`",
    "did you mean `static_shapes`",
    script=True,
)
def misspelt_setting():
    helion.kernel(static_shape=True)


@mistake(
    exc.InvalidSetting,
    'helion.kernel(autotune_effort="max")',
    "`autotune_effort`",
    "'max'",
    "none, quick, full",
    script=True,
)
def unknown_effort():
    helion.kernel(autotune_effort="max")


@mistake(exc.InvalidSetting, 'helion.kernel(static_shapes="no")', "`static_shapes`", "'no'", "bool", script=True)
def flag_as_text():
    helion.kernel(static_shapes="no")


@mistake(
    exc.InvalidSetting, "helion.kernel(autotune_budget_seconds=-1)", "`autotune_budget_seconds`", "-1", script=True
)
def negative_budget():
    helion.kernel(autotune_budget_seconds=-1)


@mistake(exc.InvalidSetting, "helion.kernel(block_sizes=[64])", "`block_sizes`", "config=", script=True)
def config_key_as_a_setting():
    helion.kernel(block_sizes=[64])


@mistake(
    exc.InvalidSetting,
    'helion.kernel(ignore_warnings=["GradientNotTraked"])',
    "GradientNotTraked",
    "GradientNotTracked",
    script=True,
)
def misspelt_warning():
    helion.kernel(ignore_warnings=["GradientNotTraked"])


@mistake(exc.InvalidSetting, "helion.kernel()", "`static_shapes`", "HELION_STATIC_SHAPES='maybe'", script=True)
def environment_variable_that_is_no_flag():
    before = os.environ.get("HELION_STATIC_SHAPES")
    os.environ["HELION_STATIC_SHAPES"] = "maybe"
    try:
        helion.kernel()
    finally:
        del os.environ["HELION_STATIC_SHAPES"]
        if before is not None:
            os.environ["HELION_STATIC_SHAPES"] = before


@mistake(exc.InvalidArgument, "hl.PowerOfTwoFragment(3, 8)", "low=3", "a power of two", script=True)
def tunable_that_is_no_power_of_two():
    hl.PowerOfTwoFragment(3, 8)


@mistake(exc.InvalidArgument, 'hl.EnumFragment(["a", "b"], "c")', "default='c'", "one of ('a', 'b')", script=True)
def tunable_whose_default_is_no_choice():
    hl.EnumFragment(["a", "b"], "c")


@mistake(exc.UnknownTarget, 'parse_target("sm_12")', "sm_12", "sm_90", script=True)
def target_older_than_the_compiler_knows():
    from helion.runtime.targets import parse_target

    parse_target("sm_12")


@mistake(exc.UnknownTarget, 'parse_target("sm90x")', "sm90x", "sm_90", script=True)
def unknown_target():
    from helion.runtime.targets import parse_target

    parse_target("sm90x")
