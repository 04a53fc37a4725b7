from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from netfed.build import _plugins, build
from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec
from netfed.errors import ScenarioError
from netfed.scenario import Scenario, loads
from tests.conftest import SMALL


def scenario(*sets: str) -> Scenario:
    return loads(SMALL, "test.yaml", sets=sets)


def test_every_plug_in_of_a_scenario_is_found() -> None:
    found = [plugin.kind for plugin in _plugins(scenario("pretraining=backprop", "adapter=lora"))]
    named = {
        "classification",
        "digits",
        "iid",
        "mlp",
        "backprop",
        "sgd",
        "lora",
        "fedavg",
        "mean",
        "float32",
        "always",
        "static",
        "hexagonal",
        "ideal",
        "serial",
    }
    assert set(found) == named
    assert found.count("backprop") == 2


def test_plug_ins_inside_plug_ins_are_found() -> None:
    @dataclass(frozen=True)
    class Chain:
        parts: tuple[Codec, ...]
        named: dict[str, Codec]

    inner = Float32()
    assert list(_plugins(Chain((inner, inner), {"a": inner}))) == [inner] * 3


def test_building_computes_nothing(tmp_path: Path) -> None:
    sim = build(scenario("pretraining=backprop", "references=[central]"), tmp_path / "store").simulation
    assert sim.env.now == 0
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert {sim.graph.counts(kind)["trained"] for kind in ("pretrained", "update", "evaluation", "model")} == {0}


def test_the_parts_are_those_that_the_scenario_names(tmp_path: Path) -> None:
    topology = "topology={kind: hexagonal, base_stations: 3}"
    spec = scenario("devices.count=5", topology, "codec={kind: topk, fraction: 0.5}")
    experiment = build(spec, tmp_path)
    sim = experiment.simulation
    assert len(sim.population) == sim.trainer._task.devices == 5
    assert len(sim.network.media["uplink"]) == 3
    assert experiment.scheme is spec.scheme
    assert experiment.fingerprint["executor"] == spec.executor.numerics
    assert (tmp_path / experiment.fingerprint["namespace"][:16]).is_dir()


def test_a_third_partys_kind_has_a_namespace_of_its_own(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Own(Float32, kind="test.own"): ...

    Own.__module__ = "sklearn.acme"
    try:
        ours = build(scenario(), tmp_path).fingerprint["sources"]
        theirs = build(replace(scenario(), codec=Own()), tmp_path).fingerprint["sources"]
    finally:
        del Codec.kinds["test.own"]
    assert ours != theirs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("devices.count=2000", "examples are too few for 2000 devices"),
        ("model={kind: cnn, channels: [2, 2, 2, 2]}", "at least 16 x 16 pixels"),
        ("adapter={kind: lora, targets: [nothing]}", "no linear layer of MLP matches nothing"),
        ("task.split={cloud: 0, devices: 0.8, test: 0}", r"task\.split\.test: 0 examples are too few"),
    ],
)
def test_parts_that_do_not_fit_are_the_users_mistake(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        build(scenario(change), tmp_path)


def test_pretraining_without_a_cloud_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="pretraining"):
        build(scenario("pretraining=backprop", "task.split={cloud: 0, devices: 0.8, test: 0.2}"), tmp_path)
