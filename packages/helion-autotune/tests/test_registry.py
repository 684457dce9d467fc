from __future__ import annotations

import importlib.metadata as metadata

import pytest

import helion_autotune.registry as registry_module
from helion_autotune import STRATEGIES, SearchSpace, Strategy, make_strategy
from helion_autotune.errors import MissingDependency, NameCollision, UnknownName, UnusablePlugin
from helion_autotune.registry import Registry
from helion_autotune.strategies.random_search import RandomSearch
from helion_autotune.testing.strategies import mixed_space

OURS = {"differential_evolution", "finite", "guided", "optuna", "pattern", "random", "surrogate"}


def test_our_strategies_are_entry_points_that_load() -> None:
    assert set(STRATEGIES.names()) >= OURS
    for name in OURS:
        assert issubclass(STRATEGIES.get(name), Strategy)


def test_a_name_that_nobody_has_lists_those_that_exist() -> None:
    with pytest.raises(UnknownName, match=r"known: .*guided"):
        STRATEGIES.get("oracle")


def test_a_program_can_register_its_own() -> None:
    class Mine(RandomSearch):
        name = "Mine"

    STRATEGIES.register("mine", Mine)
    try:
        assert isinstance(make_strategy("mine", mixed_space(), options={"count": 3}), Mine)
        STRATEGIES.register("mine", Mine)  # again is fine
        with pytest.raises(NameCollision, match="taken"):
            STRATEGIES.register("mine", RandomSearch)
        with pytest.raises(NameCollision, match="taken"):
            STRATEGIES.register("guided", Mine)
    finally:
        STRATEGIES.unregister("mine")
    assert "mine" not in STRATEGIES.names()


def entry_points(*values: str):
    return lambda group: [metadata.EntryPoint("twin", value, group) for value in values]


def test_two_packages_with_one_name_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(registry_module, "entry_points", entry_points("one:A", "two:B"))
    with pytest.raises(NameCollision, match="one:A and by two:B"):
        Registry("some.group").get("twin")


def test_two_packages_with_one_name_cost_the_other_names_nothing(monkeypatch) -> None:
    colliding = entry_points("one:A", "two:B")
    good = metadata.EntryPoint("good", "os:getpid", "some.group")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [*colliding(group), good])
    registry: Registry = Registry("some.group")
    assert registry.names() == ["good", "twin"]
    assert registry.get("good").__name__ == "getpid"


@pytest.mark.parametrize("value", ["no_such_package:A", "os:no_such_name"])
def test_a_plug_in_that_cannot_be_imported_is_named(monkeypatch, value) -> None:
    monkeypatch.setattr(registry_module, "entry_points", entry_points(value))
    with pytest.raises(UnusablePlugin, match=rf"'twin' \({value}\) cannot be imported: .*Error: "):
        Registry("some.group").get("twin")


def test_the_same_package_twice_on_the_path_is_no_collision(monkeypatch) -> None:
    monkeypatch.setattr(registry_module, "entry_points", entry_points("os:getpid", "os:getpid"))
    assert Registry("some.group").names() == ["twin"]


def test_a_strategy_is_made_from_a_name_a_class_or_itself() -> None:
    space = mixed_space()
    assert make_strategy("random", space, seed=3).seed == 3
    made = make_strategy(RandomSearch, space, options={"count": 5})
    assert make_strategy(made, space) is made


def test_a_missing_extra_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingDependency, match=r"pip install 'helion-autotune\[optuna\]'"):
        make_strategy("optuna", SearchSpace({}))
