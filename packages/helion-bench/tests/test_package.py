from importlib import metadata

import helion_bench


def test_version_is_the_installed_one():
    assert helion_bench.__version__ == metadata.version("helion-bench")
