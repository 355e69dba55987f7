"""Records that refer to each other, within a dump and within a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings as playing, strategies as st
from tests.table.tables import read, read_text, settings

from catalogsync import MisconfiguredError
from catalogsync._lib.json_joins import search_whole

MEMBERS = """
key = "key"
title = "title"
members = { from = "members", split = " " }
sku = "sku"
options.Size = "size"
"""
HEADER = "key,title,sku,size,members\n"
ROWS = [
    "small,Small cup,C-S,S,\n",
    "cup,Cup,,,small large\n",
    "pot,Pot,P,one,\n",
    "large,Large cup,C-L,L,\n",
]


@playing(max_examples=12, deadline=None)
@given(st.permutations(ROWS), st.sampled_from([1, 2, 500]))
async def test_members_are_variants_wherever_they_stand(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("members")
    text = HEADER + "".join(rows)
    products, rejected = await read_text(folder, text, f"page_size = {size}", MEMBERS)
    assert rejected == []
    found = {p.key.id: (p.title, {v.sku for v in p.variants or ()}) for p in products}
    assert found == {"cup": ("Cup", {"C-S", "C-L"}), "pot": ("Pot", {"P"})}


async def test_a_member_that_does_not_exist_changes_nothing(tmp_path: Path) -> None:
    text = HEADER + "cup,Cup,C,S,cup other\n"
    (product,), rejected = await read_text(tmp_path, text, "", MEMBERS)
    assert (product.key.id, rejected) == ("cup", [])


async def test_members_that_are_no_keys(tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_text('{"key": "1", "title": "Cup", "members": [{"key": "2"}]}\n')
    _, (rejected,) = await read(settings(file, "", MEMBERS))
    assert rejected.reason.startswith("members: has parts (`key`)")


TREE = {
    "rows": [{"id": 1, "of": "2"}, {"id": 3, "of": None}, "no row"],
    "others": [{"id": 2, "is": 2}, {"id": 4, "is": 2}, {"is": None}],
    "tree": [
        {"id": 1, "up": 2, "name": "a"},
        {"id": 2, "up": 1, "name": "b"},
        {"id": 3, "up": 1, "name": "c"},
        {"id": 4, "up": 9, "name": "d"},
    ],
}


def test_rows_get_those_that_refer_to_them() -> None:
    found = search_whole("attach(rows, 'all', &of, others, &is)[].all[].id", TREE)
    assert found == [2, 4]


def test_a_circle_in_a_tree_has_an_end() -> None:
    found = search_whole("tree_paths(tree, &id, &up, &name)[].path", TREE)
    assert found == [["b", "a"], ["a", "b"], ["b", "a", "c"], ["d"]]


@pytest.mark.parametrize(
    "items", ["attach(rows, 'x', &id)", "attach(none, 'x', &a, rows, &b)", "unknown(@)"]
)
async def test_a_function_without_what_it_needs(tmp_path: Path, items: str) -> None:
    file = tmp_path / "dump.json"
    file.write_text(json.dumps(TREE))
    mapping = 'key = "id"\ntitle = "name"'
    with pytest.raises(MisconfiguredError, match=r"or `.*` no path") as caught:
        await read(settings(file, f'items = "{items}"', mapping))
    assert caught.value.setting == "items"
