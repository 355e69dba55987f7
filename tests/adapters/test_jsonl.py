"""Products as lines of a file: nothing is lost, and a kill costs nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.strategies import histories, products

from catalogsync import (
    MemorySink,
    Options,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    Report,
    RunStatus,
    Sync,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.jsonl import (
    JSONLSink,
    JSONLSinkSettings,
    JSONLSourceSettings,
)
from catalogsync.adapters.jsonl._lines import Line, key_of, parse
from catalogsync.catalog.products import Field
from catalogsync.config import load_config
from catalogsync.engine import promises
from catalogsync.errors import InvalidValueError, MisconfiguredError, TransientError
from catalogsync.state import StateSettings

CUP = Product(key=ProductKey("shop", "1"), title="Cup", tags=["b", "a"])
PAN = Product(key=ProductKey("shop", "2"), title="Pan")


async def written(path: Path, *items: Product, **more: Any) -> Report:
    async with JSONLSinkSettings(path=str(path)).open() as sink:
        return await sync(as_source(items, name="shop"), sink, **more)


async def read_back(path: Path, **more: Any) -> list[Product]:
    sink = MemorySink()
    async with JSONLSourceSettings(path=str(path), name="shop", **more).open() as file:
        await sync(file, sink)
    return [*sink.products.values()]


def files(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


# --- lines ---


@given(products(), st.none() | st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_has_the_whole_product(product: Product, last_applied: str) -> None:
    """One line, which reads as the same product and is written the same again."""
    data = Line.of(product, last_applied).dumped()
    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")
    line = parse(data)
    assert key_of(data) == line.key == product.key
    assert line.last_applied == last_applied
    assert repr(line.product.variants) == repr(product.variants)
    assert line.product == product
    assert line.dumped() == data


def test_names_are_sorted_except_options() -> None:
    only = Variant(id="v", options={"Size": "S", "Color": "Red"})
    product = attrs.evolve(CUP, variants=[only], attributes={"b": 1, "a": 2})
    assert Line.of(product, "x").dumped().decode() == (
        '{"key":"shop:1","last_applied":"x","product":{"attributes":{"a":2,"b":1},'
        '"tags":["b","a"],"title":"Cup","variants":[{"id":"v",'
        '"options":{"Size":"S","Color":"Red"}}]}}\n'
    )


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_make_an_unexpected_error(data: bytes) -> None:
    for read in (parse, key_of):
        with suppress(InvalidValueError):
            read(data)


# --- files ---


@hypothesis_settings(max_examples=10)
@given(
    st.lists(
        histories(moments=2), min_size=1, max_size=4, unique_by=lambda seen: seen[0].key
    )
)
async def test_a_backup_has_what_the_source_had(
    tmp_path_factory: pytest.TempPathFactory, seen: list[tuple[Product, ...]]
) -> None:
    """The file is ordered by key, and syncing it back loses nothing."""
    path = tmp_path_factory.mktemp("backup") / "shop.jsonl"
    before, after = [each[0] for each in seen], [each[1] for each in seen]
    await written(path, *before)
    shelf = MemorySink()
    await sync(as_source(before, name="shop"), shelf)
    same = {p.key: p for p in await read_back(path, page_size=2)}
    assert same == shelf.products
    assert list(same) == sorted(same)
    await written(path, *after)
    await sync(as_source(after, name="shop"), shelf)
    assert {p.key: p for p in await read_back(path)} == shelf.products
    report = await written(path, *reversed(after))
    assert report.counts.unchanged == len(after)


async def test_a_change_of_one_product_changes_one_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, PAN, CUP)
    before = path.read_bytes().splitlines()
    await written(path, PAN, attrs.evolve(CUP, title="Mug"))
    after = path.read_bytes().splitlines()
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]
    assert files(tmp_path) == [path]


async def test_a_run_without_changes_does_not_touch_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP)
    before = path.stat()
    await written(path, CUP)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


async def test_a_plan_makes_no_file(tmp_path: Path) -> None:
    async with JSONLSinkSettings(path=f"{tmp_path}/shop.jsonl").open() as sink:
        shown: list[object] = []
        await Sync(as_source([CUP], name="shop"), sink).plan(shown.append)
    assert len(shown) == 1
    assert files(tmp_path) == []


async def test_removals(tmp_path: Path) -> None:
    """Unpublished and deleted products; sources do not touch each other's lines."""
    path = tmp_path / "shop.jsonl"
    other = Product(key=ProductKey("other", "1"), title="Other")
    async with JSONLSinkSettings(path=str(path)).open() as sink:
        await sync(as_source([other], name="other"), sink)
    options = Options(prune=Prune.UNPUBLISH, max_prune=9)
    async with StateSettings().open() as state:
        await written(path, CUP, PAN, state=state)
        for _ in range(2):  # the first run only notes what is missing
            await written(path, CUP, options=options, state=state)
        (cup, pan) = await read_back(path)
        options = attrs.evolve(options, prune=Prune.DELETE)
        await written(path, CUP, options=options, state=state)
    assert cup == CUP
    assert pan == attrs.evolve(PAN, status=ProductStatus.DRAFT)
    assert await read_back(path) == [CUP]
    assert b'"other:1"' in path.read_bytes()


async def test_a_released_product_stays_without_its_key(tmp_path: Path) -> None:
    from catalogsync.catalog.changes import Release

    path = tmp_path / "shop.jsonl"
    for _ in range(2):
        await written(path, CUP)
        async with JSONLSinkSettings(path=str(path)).open() as sink:
            (page,) = [page async for page in sink.owned("shop")]
            await sink.write([Release(existing=page[0])])
    lines = [parse(line) for line in path.read_bytes().splitlines()]
    assert [line.released for line in lines] == ["shop:1", "shop:1 (2)"]
    assert all(line.tree["title"] == "Cup" for line in lines)
    assert await read_back(path) == []


# --- damage ---


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (b"{", "line 2: is not JSON: "),
        (b"\xff", "line 2: is not UTF-8: byte 1 is wrong"),
        (b"[]", "line 2: is not a JSON object"),
        (b'{"key":"shop:9"}', "line 2: product: is missing"),
        (b'{"key":"shop","product":{}}', "line 2: key: a product key is source:id"),
        (b'{"key":"shop:1","product":{}}', "line 2: has the same key as line 1"),
        (b'{"key":"shop:9","product":{},"a":1}', "line 2: `a` is unknown"),
    ],
)
async def test_a_damaged_line_stops_the_sink_and_is_named(
    tmp_path: Path, damage: bytes, problem: str
) -> None:
    """Nothing is written, so nothing of the file is lost."""
    path = tmp_path / "shop.jsonl"
    await written(path, CUP, PAN)
    first, last = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, damage, last]))
    before = path.read_bytes()
    with pytest.raises(MisconfiguredError) as raised:
        await written(path, attrs.evolve(CUP, title="Mug"))
    assert f"shop.jsonl, {problem}" in str(raised.value)
    assert path.read_bytes() == before


async def test_a_damaged_line_is_rejected_by_the_source(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP, PAN)
    lines = path.read_bytes().splitlines()
    path.write_bytes(
        b"\n\n".join([lines[0], b'{"key":"shop:9","product":{"title":""}}', lines[1]])
    )
    async with JSONLSourceSettings(path=str(path), name="shop").open() as source:
        page = promises.built(await source.read(None))
    assert [*page.products] == [CUP, PAN]
    assert page.total == 3
    (rejected,) = page.rejected
    assert str(rejected) == "line 3: title: must not be empty"
    assert rejected.key == ProductKey("shop", "9")


async def test_an_edited_line_that_is_no_product_is_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP, PAN)
    path.write_bytes(path.read_bytes().replace(b'"Cup"', b"7"))
    report = await written(path, CUP, attrs.evolve(PAN, title="Wok"))
    assert report.counts.updated == 1
    (failure,) = report.failures
    assert "line 1 is not a valid product: title: must be text" in failure.reason
    assert b'"title":7' in path.read_bytes()


# --- kills and other writers ---

_KILLED = """
import asyncio, os, signal, sys
from catalogsync import Product, ProductKey, as_source, sync
from catalogsync.adapters.jsonl import JSONLSinkSettings
async def main():
    cups = [Product(key=ProductKey("shop", f"{n}"), title="New") for n in range(5)]
    async with JSONLSinkSettings(path=sys.argv[1]).open() as sink:
        await sync(as_source(cups, name="shop"), sink)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def killed(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL


async def test_a_killed_run_leaves_the_file_and_its_changes(tmp_path: Path) -> None:
    """The file is as before; the next run finds what the killed one wrote."""
    path = tmp_path / "shop.jsonl"
    await written(path, CUP)
    before = path.read_bytes()
    killed(path)
    assert path.read_bytes() == before
    new = [Product(key=ProductKey("shop", f"{n}"), title="New") for n in range(5)]
    report = await written(path, *new)
    assert report.counts.unchanged == 5
    assert files(tmp_path) == [path]
    assert {each.title for each in await read_back(path)} == {"New"}


async def test_a_file_that_was_edited_after_a_kill_wins(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP)
    killed(path)
    path.write_bytes(path.read_bytes() + Line.of(PAN, None).dumped())
    async with JSONLSinkSettings(path=str(path)).open() as sink:
        found = await sink.find([CUP, PAN], fields=frozenset(Field))
    assert {found[key].product for key in found} == {CUP, PAN}  # type: ignore[union-attr]


async def create(sink: JSONLSink, *items: Product) -> Report:
    return await sync(as_source(items, name="shop"), sink)


async def test_only_one_can_write(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    first, second = (JSONLSinkSettings(path=str(path)).open() for _ in range(2))
    async with first as sink, second as other:
        await create(sink, CUP)
        with pytest.raises(TransientError, match="another run is writing shop"):
            await other.find([CUP], fields=frozenset(Field))
    assert await read_back(path) == [CUP]
    assert (await written(path, CUP, PAN)).counts.created == 1


async def test_a_writer_that_read_before_another_wrote_reads_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shop.jsonl"
    async with JSONLSinkSettings(path=str(path)).open() as sink:
        assert await sink.find([CUP], fields=frozenset(Field)) == {}
        await written(path, CUP)
        report = await create(sink, CUP, PAN)
    assert (report.counts.created, report.counts.unchanged) == (1, 1)
    assert await read_back(path) == [CUP, PAN]


async def test_an_edit_during_a_run_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP)
    async with AsyncExitStack() as stack:
        settings = JSONLSinkSettings(path=str(path))
        await create(await stack.enter_async_context(settings.open()), PAN)
        path.write_bytes(path.read_bytes() + b"\n")
        closing = stack.pop_all().aclose()
    with pytest.raises(MisconfiguredError, match="changed by another program"):
        await closing
    assert await read_back(path) == [CUP]
    assert (await written(path, PAN)).counts.created == 1


def test_a_path_that_cannot_be_a_file() -> None:
    for path in ("", ".", "a\0b"):
        with pytest.raises(MisconfiguredError, match="path: must be the path of a"):
            JSONLSinkSettings(path=path)


async def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    settings = JSONLSinkSettings(path=f"{tmp_path}/missing/shop.jsonl")
    async with settings.open() as sink:
        (result,) = await sink.check()
        report = await create(sink, CUP)
    assert not result.ok
    assert "create it first" in result.text
    assert report.status is RunStatus.FAILED
    assert "create its folder first" in report.problem


async def test_from_a_configuration_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    await written(path, CUP, PAN)
    (tmp_path / "catalogsync.toml").write_text(
        f"""
        [jobs.copy]
        source = {{ type = "jsonl", path = "{path}", name = "shop" }}
        sink = {{ type = "jsonl", path = "{tmp_path}/copy.jsonl" }}
        """
    )
    report = await load_config(tmp_path / "catalogsync.toml").job("copy").run()
    assert report.counts.created == 2
    assert await read_back(tmp_path / "copy.jsonl") == [CUP, PAN]


async def test_a_second_run_recognises_lines(tmp_path: Path) -> None:
    """With a state store, lines of both sides that stayed the same are not read."""
    backup, copy = tmp_path / "shop.jsonl", tmp_path / "copy.jsonl"
    await written(backup, CUP, PAN)
    async with (
        StateSettings().open() as state,
        JSONLSourceSettings(path=str(backup), name="shop").open() as source,
        JSONLSinkSettings(path=str(copy)).open() as sink,
    ):
        for expected in ("created", "unchanged", "unchanged"):
            report = await sync(source, sink, state=state)
            assert getattr(report.counts, expected) == 2
        await written(backup, attrs.evolve(CUP, title="Mug"), PAN)
        report = await sync(source, sink, state=state)
        assert (report.counts.updated, report.counts.unchanged) == (1, 1)
        await written(backup, attrs.evolve(CUP, title="Mug"), PAN)
    assert [each.title for each in await read_back(copy)] == ["Mug", "Pan"]


async def test_a_line_with_two_keys_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_bytes(b'{"key":"shop:1","product":{"title":"Cup"},"key":"shop:2"}')
    async with JSONLSourceSettings(path=str(path), name="shop").open() as source:
        page = promises.built(await source.read(None))
    (rejected,) = page.rejected
    assert str(rejected) == "line 1: key: stands there twice"


async def test_check_says_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    async with JSONLSinkSettings(path=str(path)).open() as sink:
        (result,) = await sink.check()
        assert result.ok
        assert "would be created" in result.text
    await written(path, CUP)
    async with (
        JSONLSinkSettings(path=str(path)).open() as sink,
        JSONLSourceSettings(path=str(path), name="shop").open() as source,
        JSONLSourceSettings(path=str(path), name="other").open() as other,
    ):
        results = [*await sink.check(), *await source.check(), *await other.check()]
    assert [(each.ok, each.what) for each in results] == [
        (True, "path"),
        (True, "path"),
        (False, "name"),
    ]
    assert "1 product" in results[1].text
