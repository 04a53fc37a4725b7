from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from netfed.network.backhaul import base_stations, positions_m, routes
from netfed.network.graph_file import GraphFile
from netfed.network.spec import Fluid, LinkClass

ACCESS = LinkClass(rate=1e6)
FLUID = Fluid(ACCESS, ACCESS, LinkClass(rate=1e9, latency=0.010))


def town() -> nx.Graph:
    """Two base stations behind a router, as somebody draws it: with labels, and in an order of its own."""
    graph = nx.Graph(name="town")
    graph.add_node("mill", role="base-station", x=-100.0, y=250.5, label="old mill")
    graph.add_node("hub", role="router", color="red")
    graph.add_node("dc", role="cloud")
    graph.add_node("port", role="base-station", x=0, y=0)
    graph.add_edge("dc", "hub", rate="10 Gbit/s", latency="2 ms", label="fibre")
    graph.add_edge("hub", "mill", rate="300 Mbit/s", loss=0.25)
    graph.add_edge("hub", "port")
    return graph


def save(folder: Path, graph: nx.Graph, suffix: str) -> str:
    path = str(folder / f"net{suffix}")
    if suffix == ".graphml":
        nx.write_graphml(graph, path)
    else:
        Path(path).write_text(json.dumps(nx.node_link_data(graph)))
    return path


@pytest.mark.parametrize("suffix", [".graphml", ".json"])
def test_base_stations_and_their_links_to_the_cloud(tmp_path: Path, suffix: str) -> None:
    graph = GraphFile(path=save(tmp_path, town(), suffix)).graph()
    assert base_stations(graph) == ["mill", "port"]
    assert positions_m(graph).tolist() == [[-100.0, 250.5], [0.0, 0.0]]
    mill, port = routes(graph, FLUID)
    assert mill == LinkClass(rate=3e8, latency=0.012, loss=0.25)
    assert port == LinkClass(rate=1e9, latency=0.012)


def test_a_graph_is_not_changed_by_who_uses_it(tmp_path: Path) -> None:
    topology = GraphFile(path=save(tmp_path, town(), ".graphml"))
    first = routes(topology.graph(), FLUID)
    slower = Fluid(ACCESS, ACCESS, LinkClass(rate=1e6))
    assert routes(topology.graph(), slower)[1].rate == 1e6
    assert routes(topology.graph(), FLUID) == first


def changed(change: Any) -> nx.Graph:
    graph = town()
    change(graph)
    return graph


@pytest.mark.parametrize("suffix", [".graphml", ".json"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.add_edge("hub", "prot"), "node 'prot' has no role .*: does a link misspell its name"),
        (lambda g: g.nodes["hub"].update(role="switch"), "node 'hub': role: expected .*, not 'switch'"),
        (lambda g: g.nodes["mill"].pop("x"), "node 'mill': a base station needs x and y, in metres"),
        (lambda g: g.nodes["mill"].update(x="far"), "node 'mill': x: expected a number"),
        (lambda g: g.nodes["dc"].update(role="router"), "0 nodes have the role 'cloud': there must be one"),
        (lambda g: g.nodes["hub"].update(role="cloud"), "2 nodes have the role 'cloud'"),
        (lambda g: g.remove_nodes_from(["mill", "port"]), "no node has the role 'base-station'"),
        (lambda g: g.remove_edge("hub", "port"), "no path from base station 'port' to the cloud"),
        (lambda g: g.edges["dc", "hub"].update(rate="-3 Mbit/s"), "link '.*' to '.*': rate: a data rate is never neg"),
        (lambda g: g.edges["dc", "hub"].update(rate="0 bit/s"), "rate must be more than 0 bit/s"),
        (lambda g: g.edges["dc", "hub"].update(rate="3"), "rate: unit missing"),
        (lambda g: g.edges["dc", "hub"].update(loss=1.5), "loss: expected 1 or less, not 1.5"),
        (lambda g: g.edges["dc", "hub"].update(latncy="1 ms"), "latncy: unknown key, did you mean 'latency'"),
    ],
)
def test_names_each_mistake(tmp_path: Path, suffix: str, change: Any, message: str) -> None:
    path = save(tmp_path, changed(change), suffix)
    with pytest.raises(ValueError, match=rf"net\{suffix}: .*{message}"):
        GraphFile(path=path)


def test_names_several_mistakes_at_once(tmp_path: Path) -> None:
    graph = town()
    for index in range(7):
        graph.add_node(f"n{index}")
    with pytest.raises(ValueError, match=r"node 'n0' has no role .*; node 'n1' has .*; and 2 more"):
        GraphFile(path=save(tmp_path, graph, ".json"))


@pytest.mark.parametrize("suffix", [".graphml", ".json"])
@pytest.mark.parametrize("kind", [nx.DiGraph, nx.MultiGraph])
def test_links_go_both_ways_and_are_single(tmp_path: Path, suffix: str, kind: type[nx.Graph]) -> None:
    graph = kind(town())
    graph.add_edge("dc", "hub")
    named = kind is nx.MultiGraph and suffix == ".graphml"
    with pytest.raises(ValueError, match="link 'dc' to 'hub' is there 2 times" if named else "an undirected, simple"):
        GraphFile(path=save(tmp_path, graph, suffix))


@pytest.mark.parametrize("word", ["self", "node_for_adding", "u_of_edge", "v_of_edge", "attr", "graph"])
def test_attributes_may_have_any_name(tmp_path: Path, word: str) -> None:
    graph = town()
    graph.nodes["hub"][word] = "x"
    graph.edges["hub", "port"][word] = "x"
    assert base_stations(GraphFile(path=save(tmp_path, graph, ".json")).graph()) == ["mill", "port"]


NODES = [("dc", "cloud"), ("hub", "router"), ("a", "base-station")]
LINKS = [("dc", "hub"), ("hub", "a")]


def written(nodes: list[tuple[Any, str]], links: list[tuple[Any, Any]], suffix: str) -> str:
    """A graph as somebody writes it who has no library that would merge what is there twice."""
    if suffix == ".json":
        rows = [{"id": name, "role": role, "x": 0, "y": 0} for name, role in nodes]
        return json.dumps({"nodes": rows, "links": [{"source": one, "target": other} for one, other in links]})
    keys = '<key id="role" for="node" attr.name="role" attr.type="string"/>'
    keys += "".join(f'<key id="{axis}" for="node" attr.name="{axis}" attr.type="double"/>' for axis in "xy")
    place = '<data key="x">0</data><data key="y">0</data>'
    rows = [f'<node id="{name}"><port name="p"/><data key="role">{role}</data>{place}</node>' for name, role in nodes]
    rows += [f'<edge source="{one}" target="{other}"/>' for one, other in links]
    head = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    return f'{head}{keys}<graph edgedefault="undirected">{"".join(rows)}</graph></graphml>'


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", [".graphml", ".json"])
@pytest.mark.parametrize(
    ("nodes", "links", "message"),
    [
        ([("a", "router")], [], "node 'a' is there 2 times"),
        ([(1, "router"), ("1", "router")], [], "node '1' is there 2 times"),
        ([], [("a", "hub")], "link 'a' to 'hub' is there 2 times"),
        ([], [("hub", "a"), ("hub", "a")], "link 'a' to 'hub' is there 3 times"),
        ([], [("a", "a"), ("dc", "dc")], "link 'a' to 'a' leads nowhere; link 'dc' to 'dc' leads nowhere"),
        ([(f"n{index // 2}", "router") for index in range(14)], [], "'n4' is there 2 times; and 2 more"),
        ([], [], None),
    ],
)
def test_what_is_there_twice_is_named(
    tmp_path: Path, suffix: str, nodes: list[tuple[Any, str]], links: list[tuple[Any, Any]], message: str | None
) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_text(written(NODES + nodes, LINKS + links, suffix))
    if message is None:
        assert base_stations(GraphFile(path=str(path)).graph()) == ["a"]
        return
    with pytest.raises(ValueError, match=rf"net\{suffix}: .*{message}$"):
        GraphFile(path=str(path))


BILLION_LAUGHS = '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><graphml>&b;</graphml>'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("net.graphml", BILLION_LAUGHS, "a document type .* is not allowed"),
        ("net.graphml", BILLION_LAUGHS.replace("DOCTYPE", "doctype"), "a document type .* is not allowed"),
        ("net.graphml", "<graphml>", "not GraphML: "),
        ("net.graphml", "<html></html>", "not GraphML: "),
        ("net.json", "{", "not JSON: "),
        ("net.json", "[" * 100_000, "not JSON: it is nested too deeply"),
        ("net.json", f'{{"nodes": [{"9" * 5000}]}}', "not JSON: an integer has too many digits"),
        ("net.graphml", written([("", "cloud")], [], ".graphml"), "each node needs an id"),
        ("net.graphml", written(NODES, [("", "a")], ".graphml").replace('source=""', ""), "an id, each edge a source"),
        ("net.json", "[]", "expected {nodes: "),
        ("net.json", '{"nodes": [{"role": "cloud"}], "links": []}', "expected {nodes: "),
        ("net.json", '{"nodes": [{"id": "a"}], "links": [["a", "b"]]}', "expected {nodes: "),
        ("net.yaml", "", "a topology is a file that ends in .graphml or .json"),
    ],
)
def test_refuses_what_is_no_graph(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        GraphFile(path=str(tmp_path / name))


def test_refuses_more_base_stations_than_fit_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, town(), ".json")
    monkeypatch.setattr("netfed.network.topology.MOST_BASE_STATIONS", 1)
    with pytest.raises(ValueError, match=r"net\.json: 2 base stations are more than the 1 that fit in memory"):
        GraphFile(path=path)


def test_refuses_a_spacing_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spacing must be more than 0 m"):
        GraphFile(path=save(tmp_path, town(), ".json"), spacing=0.0)
