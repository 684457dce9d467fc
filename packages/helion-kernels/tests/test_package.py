from importlib import metadata

import helion_kernels


def test_version_is_the_installed_one():
    assert helion_kernels.__version__ == metadata.version("helion-kernels")
