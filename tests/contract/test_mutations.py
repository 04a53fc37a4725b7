"""Files that somebody, or something, has damaged: each is valid, or told what is wrong with it. Scenarios first, then
the topologies and traces that they name.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netfed import sources
from netfed.errors import ScenarioError
from netfed.network.graph_file import GraphFile
from netfed.network.trace import Trace
from netfed.scenario import Scenario, loads, resolved

SHIPPED = {name: file.read_text(encoding="utf-8") for name, file in sources.shipped().items()}
WIDE = """\
netfed: 1
name: wide
task:
  dataset: {kind: synthetic, examples: 200, classes: 3}
  split: {cloud: 0, devices: 0.5, test: .5}
  partition: shards
model: {kind: mlp, hidden: [8, 8]}
rule: {kind: backprop, learning_rate: 1e-3, batch_size: 4, optimizer: {kind: adamw, weight_decay: 0.1}, proximal: 0.1}
scheme: {kind: hierarchical, rounds: 3, cohort: 2, edge_rounds: 2, server: {kind: adam, learning_rate: 0.1}}
adapter: {kind: head}
codec: {kind: qsgd, entry_bits: 4}
downlink: {codec: bfloat16, cache: false}
topology: {kind: hexagonal, base_stations: 3}
devices:
  count: 4
  battery: {capacity: 2 J, initial: [0.5, 1], charging: {power: 1 W, period: 1 h, duration: 5 min}}
  availability: {kind: windows, period: 1 h, duration: 5 min}
  weight: {1: 0.5, 4: 0.5}
network: {kind: fixed, uplink: {rate: 1 kbit/s}, downlink: {rate: 1 kbit/s, loss: 1}, backhaul: {rate: 1 kbit/s}}
executor: {kind: cohort, window: 2}
"""
CORPUS = [*SHIPPED.values(), WIDE]
MUTANTS = 1000

VALUES = [
    "", "null", "~", "true", "no", "0", "-1", "-0.0", "1.5", "1e308", "1e999", "9" * 30, "0x1F", ".inf", "-.INF",
    ".nan", "[]", "{}", "[[]]", "{kind: }", "{kind: fedavg}", "{kind: [a]}", "kind", "quickstart", "x.y", ".", "a.b.c",
    "5 s", "5 parsecs", "5 Mbps", "-5 ms", "5ms5", "1e400 s", "0 bit/s", "1 e3 s", "5 \u00b5s", "\u0665 s",
    "1" * 70 + " s", "!!int 3", "!!python/object:os.system ls", "!x y", "&a 1", "*a", "<<", "? a", "- a", "|", ">-",
    "'", '"', '"\\ud800"', '"\\x00"', "\u202e", "\U0001f600", "e\u0301", "%", "@x", "`x", "#", ": :", "a: b: c",
    "{a: 1, a: 2}", "[1, 2", "}", "[" * 30 + "]" * 30, "{a: " * 30 + "1" + "}" * 30, "x" * 10_000,
    "[" + "a, " * 1000 + "]", "{kind: module, name: x}", '{kind: file, path: "\\0"}', "{kind: trace, path: .}",
]  # fmt: skip
KEYS = [
    "", "kind", "extends", "short", "netfed", "<<", "1", "null", "a.b", "__init__", "\U0001f600", "'", "? x", "&a x",
    "x" * 10_000,
]  # fmt: skip
CHARACTERS = "\x00\x01\x07\x08\x0b\x1b\x7f\x85\xa0\ufeff\u2028\ufffe\ud800\t\r\n {}[]:,#&*!|>'\"%@`-?"
KEY = re.compile(r"(?<=[\s{,])([a-z_]+)(?=:)")
VALUE = re.compile(r"(?<=: )([^\s{}\[\],#][^{}\[\],#\n]*)")

Mutation = Callable[[random.Random, str], str]


def _replaced(pattern: re.Pattern[str], choices: list[str]) -> Mutation:
    """Replace one occurrence by one of the choices, or by another occurrence."""

    def mutate(draw: random.Random, text: str) -> str:
        found = list(pattern.finditer(text))
        if not found:
            return text
        old, other = draw.choice(found), draw.choice(found)[0]
        return text[: old.start()] + draw.choice([*choices, other]) + text[old.end() :]

    return mutate


def _misspelt(draw: random.Random, text: str) -> str:
    word = draw.choice(list(re.finditer(r"\w+", text)) or [re.match("", text)])
    place = draw.randint(word.start(), word.end())
    return text[:place] + draw.choice(["", "x", text[place - 1 : place]]) + text[place + draw.randint(0, 1) :]


def _line_moved(draw: random.Random, text: str) -> str:
    """Delete, repeat, move or indent a line."""
    lines = text.split("\n")
    line = lines.pop(draw.randrange(len(lines)))
    for _ in range(draw.randint(0, 2)):
        lines.insert(draw.randint(0, len(lines)), draw.choice(["", "  ", "\t", "- "]) + line)
    return "\n".join(lines)


def _cut(draw: random.Random, text: str) -> str:
    start = draw.randint(0, len(text))
    return text[:start] + text[start + draw.choice([1, 10, len(text)]) :]


def _character(draw: random.Random, text: str) -> str:
    place = draw.randint(0, len(text))
    return text[:place] + draw.choice(CHARACTERS) * draw.choice([1, 1, 3]) + text[place:]


def _extended(draw: random.Random, text: str) -> str:
    bases = [*SHIPPED, "nowhere", "../x.yaml", "/etc/passwd", "[]", "[quickstart, minimal]", ".", "{a: 1}", "''"]
    return f"extends: {draw.choice(bases)}\n{text if draw.random() < 0.5 else _cut(draw, text)}"


def _nested(draw: random.Random, text: str) -> str:
    line = draw.choice(list(re.finditer(r"^(\w+):", text, re.MULTILINE)) or [re.match("", text)])
    inner = "".join(f"  {row}\n" for row in text.split("\n"))
    return f"{text[: line.end()]} {draw.choice(VALUES)}\n{inner}{text[line.end() :]}"


MUTATIONS: list[Mutation] = [
    _replaced(VALUE, VALUES), _replaced(VALUE, VALUES), _replaced(KEY, KEYS), _misspelt, _line_moved, _cut, _character,
    _extended, _nested,
]  # fmt: skip


def mutant(seed: int) -> str:
    draw = random.Random(seed)
    text = draw.choice(CORPUS)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        text = draw.choice(MUTATIONS)(draw, text)
    return text


def verdict(text: str | bytes) -> Scenario | tuple[str, ...]:
    try:
        return loads(text, "mutant.yaml")
    except ScenarioError as error:
        return error.lines


def clear(line: str) -> bool:
    return bool(re.match(r"(\S*/)?\w[\w-]*\.yaml:\d+:\d+: \S", line)) and line.isprintable() and len(line) < 600


@pytest.mark.parametrize("seed", [20261122])
def test_a_damaged_scenario_is_valid_or_told_what_is_wrong_with_it(seed: int) -> None:
    start_s = time.process_time()
    accepted = 0
    for index in range(MUTANTS):
        found = verdict(mutant(seed + index))
        if isinstance(found, Scenario):
            accepted += 1
            assert loads(resolved(found), "resolved.yaml") == found
        else:
            assert found
            assert all(map(clear, found)), found
    assert MUTANTS * 0.02 < accepted < MUTANTS * 0.5, "most mutations matter, but not all"
    assert time.process_time() - start_s < 0.04 * MUTANTS, "each is told soon"


NODE_LINK = json.dumps(
    {
        "nodes": [
            {"id": "dc", "role": "cloud"},
            {"id": 1, "role": "router", "label": "hub"},
            {"id": "mill", "role": "base-station", "x": -100.0, "y": 250.5},
        ],
        "links": [
            {"source": "dc", "target": 1, "rate": "10 Gbit/s", "latency": "2 ms"},
            {"source": 1, "target": "mill", "rate": "300 Mbit/s", "loss": 0.25},
        ],
    },
    indent=1,
)
GRAPHML = """\
<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="r" for="node" attr.name="role" attr.type="string"/>
  <key id="x" for="node" attr.name="x" attr.type="double"/>
  <key id="y" for="node" attr.name="y" attr.type="int"/>
  <key id="l" for="edge" attr.name="rate" attr.type="string"/>
  <graph edgedefault="undirected">
    <node id="dc"><data key="r">cloud</data></node>
    <node id="hub"><data key="r">router</data><port name="a"/></node>
    <node id="mill"><data key="r">base-station</data><data key="x">-1.5</data><data key="y">25</data></node>
    <edge source="dc" target="hub"><data key="l">10 Gbit/s</data></edge>
    <edge source="hub" target="mill"/>
  </graph>
</graphml>
"""
CSV = "device,start,end,note\n" + "".join(
    f"{name},{10 * index},{10 * index + 5},x\n" for index, name in enumerate("abcab")
)
FEDSCALE = json.dumps({name: {"active": [1, 20.5], "inactive": [7, 30], "model": "x"} for name in "abc"}, indent=1)
TOKENS = [
    "", "null", "true", "0", "-1", "1e999", "NaN", "9" * 5000, '""', '"x"', "[]", "{}", "[" * 20_000, '{"a":' * 20_000,
    '"self"', '"node_for_adding"', '"u_of_edge"', '"id"', '"key"', '"role"', '"1"', "1", '"dc"', '"mill"', "<", ">",
    "&a;", "<!DOCTYPE x>", "<a>" * 2000, '"\\ud800"', "\x00", "5 Mbit/s", ",", "\n", "\t", "nan", "inf", "\u0665",
]  # fmt: skip
TOKEN = re.compile(r'"[^"\n]*"|(?<=>)[^<>\n]+(?=<)|-?\d+(\.\d+)?|\w+')
FILE_MUTATIONS: list[Mutation] = [
    _replaced(TOKEN, TOKENS), _replaced(TOKEN, TOKENS), _misspelt, _line_moved, _cut, _character,
]  # fmt: skip


def tell(importer: Callable[[str], object], path: Path, text: str) -> str:
    """Return what an importer says is wrong with a file; nothing if it takes it."""
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        importer(str(path))
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("importer", "name", "text"),
    [
        (lambda path: GraphFile(path=path), "net.json", NODE_LINK),
        (lambda path: GraphFile(path=path), "net.graphml", GRAPHML),
        (lambda path: Trace(path=path), "trace.csv", CSV),
        (lambda path: Trace(path=path), "trace.json", FEDSCALE),
    ],
    ids=["node-link", "graphml", "csv", "fedscale"],
)
def test_a_damaged_file_is_taken_or_told_what_is_wrong_with_it(
    tmp_path: Path, importer: Callable[[str], object], name: str, text: str
) -> None:
    assert not tell(importer, tmp_path / name, text)
    refused = 0
    for seed in range(400):
        draw = random.Random(seed)
        mutated = text
        for _ in range(draw.choice([1, 1, 2, 4])):
            mutated = draw.choice(FILE_MUTATIONS)(draw, mutated)
        if message := tell(importer, tmp_path / name, mutated):
            refused += 1
            assert message.startswith(str(tmp_path / name)), message
            assert message.isprintable(), message
            assert len(message) < 600, message
    assert 400 * 0.1 < refused < 400
