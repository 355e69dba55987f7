from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import catalogsync

HEAVY = ("aiohttp", "sqlalchemy", "rich", "click", "orjson", "slugify", "cattrs")


def loaded_after(statement: str) -> set[str]:
    """The modules of a fresh interpreter after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_import_is_light() -> None:
    assert loaded_after("import catalogsync").isdisjoint(
        {*HEAVY, "asyncio", "attrs", "stamina", "catalogsync.catalog.products"}
    )


@pytest.mark.parametrize(
    "names", ["Product, Change, Options", "sync, MemorySink, as_source, run_blocking"]
)
def test_the_core_needs_no_http_and_no_database(names: str) -> None:
    modules = loaded_after(f"from catalogsync import {names}")
    assert "catalogsync.catalog.products" in modules
    assert modules.isdisjoint({*HEAVY} - {"orjson"})


def test_dummyjson_and_medusa_load_nothing_that_a_run_does_not_use() -> None:
    adapters = "catalogsync.adapters.dummyjson, catalogsync.adapters.medusa"
    modules = loaded_after(f"import catalogsync.engine, {adapters}")
    assert modules.isdisjoint({*HEAVY} - {"aiohttp", "orjson"})


@pytest.mark.parametrize("name", catalogsync.__all__)
def test_every_public_name_is_there(name: str) -> None:
    vars(catalogsync).pop(name, None)
    assert getattr(catalogsync, name) is getattr(catalogsync, name)


def test_all_is_sorted_and_has_each_name_once() -> None:
    names = catalogsync.__all__
    assert len(names) == len(set(names))
    by_kind = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert names == by_kind


def test_dir_shows_the_public_names() -> None:
    assert {*catalogsync.__all__, "__version__"} <= set(dir(catalogsync))


def test_version() -> None:
    assert catalogsync.__version__ == version("catalogsync")


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Prodct'"):
        catalogsync.Prodct  # type: ignore[attr-defined]  # noqa: B018


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from catalogsync import *", names)
    assert names.keys() >= set(catalogsync.__all__)
