"""Data is never code: what reads files and replies cannot run what it reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = sorted(Path(__file__).parents[2].glob("src/**/*.py"))
MODULES = frozenset(
    {"code", "dill", "jsonpickle", "marshal", "pickle", "shelve", "subprocess", "yaml"}
)
CALLS = frozenset({"__import__", "compile", "eval", "exec"})


def forbidden(tree: ast.AST) -> Iterator[str]:
    """What could run data, by name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                found = {alias.name for alias in names}
            case ast.ImportFrom(module=str(module)):
                found = {module}
            case ast.Call(func=ast.Name(name)) if name in CALLS:
                yield name
                continue
            case ast.Call(func=ast.Attribute(ast.Name("os"), "system" | "popen")):
                yield "os.system"
                continue
            case _:
                continue
        yield from MODULES & {name.partition(".")[0] for name in found}


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from yaml import load", "eval('1')", "import os; os.system('')"],
)
def test_the_search_finds_what_is_there(text: str) -> None:
    assert list(forbidden(ast.parse(text)))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_no_module_can(file: Path) -> None:
    assert list(forbidden(ast.parse(file.read_text(encoding="utf-8")))) == []
