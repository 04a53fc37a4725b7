"""The import rule: imports point down, siblings are strangers, and what need not import torch does not."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "netfed"
LAYERS = [
    {"__main__"},
    {"cli", "testing"},
    {"report"},
    {"display", "charts"},
    {"findings"},
    {"answers", "study", "explanation"},
    {"computer", "forecast", "run", "binding", "unmet", "bounds", "utilisation"},
    {"build", "critical_path", "notes", "provenance"},
    {"chains", "scenario", "results"},
    {"loading", "runfolder", "sources"},
    {"schemes", "manifest", "events", "replay"},
    {"experiment"},
    {"simulation"},
    {"client", "inbox", "sized"},
    {"task"},
    {"network", "learning", "codecs", "namespace"},
    {"document", "validation"},
    {"keys"},
    {"files", "vectors", "units", "streams", "plugin", "recorder", "graph", "schema", "tree"},
    {"amounts", "docstrings", "errors", "layout", "progress", "spelling", "__init__"},
]
LEVEL = {name: level for level, names in enumerate(reversed(LAYERS)) for name in names}
NEVER = {"network": {"torch"}, "learning": {"simpy"}, "results": {"torch", "simpy"}, "charts": {"torch", "simpy"}}
SEEDING = {"default_rng", "SeedSequence", "RandomState"}
WATCHES_PROCESS_GENERATORS = "learning/draws.py"
MODULES = sorted(PACKAGE.rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


SPECS = [
    path
    for path in MODULES
    if "kind=" in path.read_text()
    and any(
        isinstance(node, ast.ClassDef) and any(keyword.arg == "kind" for keyword in node.keywords)
        for node in ast.walk(parsed(path))
    )
]


def room(path: Path) -> str:
    """The top-level part of netfed that a module belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def typing_only(tree: ast.Module) -> set[ast.AST]:
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {inner for block in blocks for inner in ast.walk(block)}


def imports(tree: ast.Module, *, top_level_only: bool = False):
    skip = typing_only(tree)
    inside = {inner for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skip or (top_level_only and node in inside):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "netfed":
                yield from (f"netfed.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    for name in imports(parsed(path)):
        top, _, rest = name.partition(".")
        if top in NEVER.get(here, ()):
            pytest.fail(f"{here} imports {top}")
        if top != "netfed" or not rest:
            continue
        there = rest.partition(".")[0]
        if there == "__version__" or there == here:
            continue
        assert LEVEL[there] < LEVEL[here], f"{here} imports {there}"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_specs_import_nothing_heavy_at_module_level(path: Path) -> None:
    heavy = {"torch", "numpy", "simpy", "networkx", "sklearn", "pyarrow"}
    found = {name.partition(".")[0] for name in imports(parsed(path), top_level_only=True)}
    assert not found & heavy


def test_there_are_specs() -> None:
    assert len(SPECS) >= 8


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_streams_makes_generators_and_nobody_seeds_the_process(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr in SEEDING:
            pytest.fail(f"line {node.lineno}: {node.attr}")
        if str(path.relative_to(PACKAGE)) != WATCHES_PROCESS_GENERATORS and isinstance(node, ast.Import):
            assert all(alias.name != "random" for alias in node.names), f"line {node.lineno}: the random module"


FORBIDDEN = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_runs_what_it_reads(path: Path) -> None:
    tree = parsed(path)
    for name in imports(tree):
        assert name.partition(".")[0] not in {"pickle", "shelve", "marshal", "joblib", "dill"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"torch.load", "np.load", "yaml.load"}, called
            assert called not in FORBIDDEN, called
            assert not any(keyword.arg == "shell" for keyword in node.keywords), "shell="
