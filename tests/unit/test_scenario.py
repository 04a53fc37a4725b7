from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed import document
from netfed.codecs.topk import TopK
from netfed.errors import ScenarioError
from netfed.keys import keys
from netfed.plugin import Plugin
from netfed.scenario import Scenario, digest, load, loads, read, resolved

TEXT = """\
netfed: 1
name: quickstart
seed: 1
task:
  dataset: {kind: digits}
  split: {cloud: 0.35, devices: 0.5, test: 0.15}
  partition: {kind: dirichlet, alpha: 0.5}
  hands: {slant: 0.3, stroke: 0.5, contrast: 0.4}
model: {kind: conv-transformer}
pretraining: {kind: backprop, learning_rate: 0.05, batch_size: 16, epochs: 30}
adapter: {kind: lora, rank: 4}
rule: {kind: backprop, learning_rate: 0.05, optimizer: {kind: sgd, momentum: 0.9}, batch_size: 16, epochs: 2}
scheme: {kind: fedavg, rounds: 30, cohort: 20, over_selection: 0.3, deadline: 60 s}
codec: {kind: float32}
topology: {kind: hexagonal, base_stations: 7, spacing: 500 m}
devices:
  count: 100
  profile: {phone: 0.7, iot-board: 0.2, vehicle: 0.1}
  dropout: {download: 0.01, compute: 0.02, upload: 0.02}
  availability: {kind: always}
network:
  kind: fluid
  uplink: {rate: 20 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.01}
  downlink: {rate: 100 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.01}
  backhaul: {rate: 1 Gbit/s, latency: 10 ms, loss: 0}
executor: {kind: threads, workers: 2, lazy: true, window: 1}
references: [pretrained, central, local]
short: {scheme: {rounds: 2}}
"""


def parse(text: str = TEXT, **options: object) -> Scenario:
    return loads(text, "s.yaml", **options)


def test_a_scenario_is_read_whole() -> None:
    scenario = parse()
    assert scenario.name == "quickstart"
    assert scenario.scheme.rounds == 30
    assert scenario.scheme.deadline == 60.0
    assert scenario.network.uplink.rate == 20e6
    assert scenario.references == ("pretrained", "central", "local")


def test_overrides_reach_it() -> None:
    scenario = parse(sets=["codec={kind: topk, fraction: 0.1}", "seed=3"], short=True, seed=7)
    assert scenario.codec == TopK(0.1)
    assert scenario.scheme.rounds == 2
    assert scenario.seed == 7
    with pytest.raises(ScenarioError, match=r"^--seed -1: seed: expected 0 or more, not -1$"):
        parse(seed=-1)


def test_what_is_resolved_loads_again_as_the_same_scenario() -> None:
    for options in ({}, {"short": True}, {"sets": ["codec={kind: topk, fraction: 0.1}", "scheme.deadline=null"]}):
        scenario = parse(**options)
        assert parse(resolved(scenario)) == scenario
        assert resolved(parse(resolved(scenario))) == resolved(scenario)


def test_defaults_and_units_are_in_what_is_resolved() -> None:
    text = resolved(parse())
    assert "  deadline: 60 s\n" in text
    assert "    rate: 20 Mbit/s\n" in text
    assert "  speed_spread: 0.0\n" in text
    assert "short" not in text


@given(st.floats(1e-9, 1e18), st.floats(0.001, 1e6), st.integers(0, 2**63 - 1))
@settings(max_examples=30, deadline=None)
def test_every_number_survives_the_way_out_and_in(deadline_s: float, alpha: float, seed: int) -> None:
    scenario = parse()
    scenario = dataclasses.replace(
        scenario,
        seed=seed,
        scheme=dataclasses.replace(scenario.scheme, deadline=deadline_s),
        task=dataclasses.replace(scenario.task, partition=dataclasses.replace(scenario.task.partition, alpha=alpha)),
    )
    assert parse(resolved(scenario)) == scenario


def test_the_digest_is_that_of_the_meaning_not_of_the_text() -> None:
    one = digest(parse())
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert (
        digest(parse("# another text\n" + TEXT.replace("60 s", "1 min").replace("{kind: float32}", "float32"))) == one
    )
    assert digest(parse(seed=2)) != one


@pytest.mark.parametrize("name", ["../x", "", "a/b", "-a", ".a", "a" * 65, "a\\b", "a\n", "\u00e9"])
def test_a_name_can_be_that_of_a_folder(name: str) -> None:
    with pytest.raises(ScenarioError, match=r"^s\.yaml:2:1: name: expected text that matches"):
        parse(TEXT.replace("name: quickstart", f"name: {json.dumps(name)}"))


def test_a_file_is_named_in_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT.replace("cohort: 20", "cohrt: 20"))
    with pytest.raises(ScenarioError) as refusal:
        load(file)
    assert refusal.value.lines == (
        f"{file}:13:1: scheme.cohort: missing key",
        f"{file}:13:36: scheme.cohrt: unknown key, did you mean 'cohort'?",
    )


def test_a_reading_is_the_scenario_the_text_and_the_document(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    reading = read(file, sets=["scheme.rounds=4"], short=True)
    assert reading.scenario == load(file, sets=["scheme.rounds=4"], short=True)
    assert reading.source == TEXT
    assert loads(document.write(reading.document.plain()), "again.yaml") == reading.scenario


def test_a_mistake_that_only_building_shows_is_located(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    reading = read(file, sets=["codec={kind: topk, fraction: 0.1}"])
    error = ScenarioError(
        "adapter.targets: no linear layer matches x",
        "task.partition: too few",
        "codec.fraction: too small",
        "evaluate_every: x",
        "accuracy: is no key",
        "model is no place",
    )
    assert reading.locate(error).lines == (
        f"{file}:11:1: adapter.targets: no linear layer matches x",
        f"{file}:7:3: task.partition: too few",
        "--set codec={kind: topk, fraction: 0.1}: codec.fraction: too small",
        f"{file}:1:1: evaluate_every: x",
        "accuracy: is no key",
        "model is no place",
    )


MISFITS = """\
netfed: 1
name: misfits
task: {dataset: digits, split: {cloud: 0, devices: 0.8, test: 0.2}, partition: iid}
model: {kind: mlp, hidden: [8]}
rule: {kind: backprop, learning_rate: 0.1, batch_size: 8}
network: ideal
pretraining: {kind: backprop, learning_rate: 0.1, batch_size: 8}
scheme: {kind: fedavg, rounds: 1, cohort: 11}
devices: {count: 10}
"""


def test_a_mistake_of_the_whole_is_that_of_the_override_that_makes_it() -> None:
    for override in ("devices.count=3", "scheme={kind: fedavg, rounds: 1, cohort: 2000}"):
        with pytest.raises(ScenarioError) as refusal:
            parse(sets=[override])
        (line,) = refusal.value.lines
        assert line.startswith(f"--set {override}: scheme: needs 20")


def test_what_does_not_go_together_is_told_at_once_and_where_it_is_written() -> None:
    with pytest.raises(ScenarioError) as refusal:
        loads(MISFITS, "m.yaml")
    assert refusal.value.lines == (
        "m.yaml:7:1: pretraining: has no examples: task.split.cloud is 0",
        "m.yaml:8:1: scheme: needs 11 devices at once, but devices.count is 10",
    )
    with pytest.raises(ScenarioError) as refusal:
        loads(MISFITS.replace("pretraining", "references: [pretrained]\n#"), "m.yaml")
    assert refusal.value.lines == (
        "m.yaml:7:1: references: pretrained is version 0 after pretraining, and there is no pretraining",
        "m.yaml:9:1: scheme: needs 11 devices at once, but devices.count is 10",
    )


def test_a_kind_that_is_written_as_a_name_is_led_into() -> None:
    scenario = load("quickstart", sets=["model.width=24", "codec.kind=topk", "codec.fraction=0.2"])
    assert scenario.model.width == 24
    assert scenario.codec == TopK(0.2)


def every_kind() -> list[type[Plugin]]:
    families = Plugin.__subclasses__()
    return [spec for family in families if family.__module__.startswith("netfed.") for spec in family.kinds.values()]


@pytest.mark.parametrize("spec", every_kind(), ids=lambda spec: spec.__qualname__)
def test_the_keys_of_every_kind_can_be_suggested(spec: type[Plugin]) -> None:
    assert list(keys(spec)) == [field.name for field in dataclasses.fields(spec)]


def test_checking_needs_no_engine() -> None:
    command = (
        "import sys, json, netfed.scenario as s; s.loads(sys.stdin.read(), 's'); print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", command], input=TEXT, capture_output=True, check=True, text=True)
    assert not {"torch", "simpy", "numpy", "networkx", "sklearn", "pyarrow"} & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("devices.count=19", "scheme: needs 20 devices at once, but devices.count is 19"),
        ("task.split.cloud=0", "pretraining: has no examples: task.split.cloud is 0"),
        ("pretraining=null", "references: pretrained is version 0 after pretraining, and there is no pretraining"),
        ("scheme.deadline=0", "scheme: deadline is 0 s, so that every update would be late; null means none"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(override: str, message: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        load("quickstart", sets=[override])
    (line,) = refusal.value.lines
    assert line.endswith(message)


def test_a_multicast_does_not_follow_the_traces_of_radios(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("t_s,rate_bps\n0,1e7\n1,2e6\n")
    traced = f"devices.downlink={{kind: csv, path: {trace}}}"
    assert load("quickstart", sets=[traced]).network.delivery == "unicast"
    load("quickstart", sets=[traced.replace("downlink", "uplink"), "network.delivery=multicast"])
    with pytest.raises(ScenarioError, match=r"devices\.downlink: rates follow a trace in unicast alone") as refusal:
        load("quickstart", sets=[traced, "network.delivery=multicast"])
    assert len(refusal.value.lines) == 1


LINKS = "uplink: {rate: 1 Mbit/s}, downlink: {rate: 1 Mbit/s}"


@pytest.mark.parametrize(
    "network", [f"fixed, {LINKS}", f"fluid, {LINKS}", "cellular, propagation: uma, carrier: fr3-7ghz"]
)
def test_how_models_are_delivered_is_in_what_is_resolved(network: str) -> None:
    given = f"network={{kind: {network}, backhaul: {{rate: 1 Gbit/s}}}}"
    scenario = load("quickstart", sets=[given, "network.delivery=multicast"])
    assert "  delivery: multicast\n" in resolved(scenario)
    assert loads(resolved(scenario), "again.yaml") == scenario
    with pytest.raises(ScenarioError, match=r"network\.delivery: expected 'unicast' or 'multicast', not 'broadcast'"):
        load("quickstart", sets=["network.delivery=broadcast"])
