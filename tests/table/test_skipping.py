"""What counts as an unchanged file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import pytest
from tests.table.tables import HEADER, SHIRTS, settings

from catalogsync import MemorySink, MisconfiguredError, Report, StateSettings, Sync
from catalogsync.adapters.table import TableSettings
from catalogsync.engine import Options
from catalogsync.mapping import Expression
from catalogsync.state import StateStore

ROW = "a,Shirt,A,S,1,2\n"


async def run(what: TableSettings, store: StateStore, sink: MemorySink) -> Report:
    async with what.open() as source:
        options = Options(skip_unchanged=True)
        return await Sync(source, sink, options=options, job="j", state=store).run()


async def statuses(what: TableSettings, *changed: TableSettings) -> list[str]:
    """Of a first run, a second one, and one with each of the changed settings."""
    sink = MemorySink()
    async with StateSettings().open() as store:
        every = [what, what, *changed]
        return [str((await run(each, store, sink)).status) for each in every]


async def test_an_unchanged_file_is_skipped(tmp_path: Path) -> None:
    file, sink = tmp_path / "shop.csv", MemorySink()
    file.write_text(HEADER + ROW)
    os.utime(file, (1, 1))
    async with StateSettings().open() as store:
        what = settings(file)
        assert (await run(what, store, sink)).status == "succeeded"
        assert (await run(what, store, sink)).status == "skipped"
        os.utime(file, (2, 2))
        assert (await run(what, store, sink)).counts.unchanged == 1
        file.write_text(HEADER + ROW + "b,Cup,B,S,1,2\n")
        os.utime(file, (2, 2))
        assert (await run(what, store, sink)).counts.created == 1
        file.unlink()
        with pytest.raises(MisconfiguredError, match="does not exist"):
            await run(what, store, sink)


async def test_a_newer_match_is_read(tmp_path: Path) -> None:
    sink = MemorySink()
    async with StateSettings().open() as store:
        for number in range(3):
            file = tmp_path / f"shop-{number}.csv"
            file.write_text(HEADER + ROW)
            os.utime(file, (number + 1, number + 1))
            what = settings(tmp_path / "shop-*.csv")
            assert (await run(what, store, sink)).status == "succeeded"
            assert (await run(what, store, sink)).status == "skipped"


async def test_changed_settings_are_noticed(tmp_path: Path) -> None:
    file, table = tmp_path / "shop.csv", tmp_path / "categories.csv"
    file.write_text(HEADER + ROW)
    table.write_text("S,Small\n")
    what = settings(file, mapping=f'category_file = "{table}"\n{SHIRTS}')
    brand = attrs.evolve(what.map, brand=Expression(value="Acme"))
    table.write_text("S,Tiny\n")
    again = settings(file, mapping=f'category_file = "{table}"\n{SHIRTS}')
    changed = [attrs.evolve(what, page_size=7), attrs.evolve(what, map=brand), again]
    found = await statuses(what, *changed)
    assert found == ["succeeded", "skipped", *["succeeded"] * 3]


async def test_a_new_table_of_rates_counts_without_new_settings(tmp_path: Path) -> None:
    file, rates, sink = tmp_path / "shop.csv", tmp_path / "rates.csv", MemorySink()
    file.write_text(HEADER + ROW)
    header = "date,from,to,rate\n"
    rates.write_text(f"{header}2026-11-30,EUR,USD,2\n")
    rule = 'price_rules.USD = { from = "EUR" }'
    what = settings(file, mapping=f'{SHIRTS}\nrates_file = "{rates}"\n{rule}')
    async with StateSettings().open() as store:
        assert (await run(what, store, sink)).status == "succeeded"
        assert (await run(what, store, sink)).status == "skipped"
        rates.write_text(f"{header}2026-12-01,EUR,USD,2.1\n")
        assert (await run(what, store, sink)).counts.updated == 1
        rates.unlink()
        with pytest.raises(MisconfiguredError, match=r"rates_file: .* cannot be read"):
            await run(what, store, sink)


async def test_code_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(HEADER + ROW)
    mapping = f'brand = {{ python = "platform:node" }}\n{SHIRTS}'
    what = settings(file, mapping=mapping.replace("platform:node", f"{__name__}:brand"))
    assert await statuses(what) == ["succeeded", "succeeded"]


def brand(_: object) -> str:
    return "Acme"


@contextmanager
def served(answer: Callable[[], tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """A server whose only file is what *answer* returns: a text and headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text, headers = answer()
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text.encode())

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/shop.csv"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("header", ["ETag", "Last-Modified", ""])
async def test_a_file_on_a_web_server(header: str) -> None:
    """By its ETag, by its time and size, or by its content."""
    text, mark = HEADER + ROW, "Mon, 30 Nov 2026 12:00:00 GMT"
    with served(lambda: (text, {header: mark} if header else {})) as place:
        sink, what = MemorySink(), settings(place)
        async with StateSettings().open() as store:
            assert (await run(what, store, sink)).status == "succeeded"
            assert (await run(what, store, sink)).status == "skipped"
            text, mark = (
                HEADER + ROW.replace("Shirt", "Skirt"),
                mark.replace("12", "13"),
            )
            assert (await run(what, store, sink)).counts.updated == 1
            assert (await run(what, store, sink)).status == "skipped"
