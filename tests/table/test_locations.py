"""Where files are, how they are compressed, and files that would do harm."""

from __future__ import annotations

import gzip
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard
from tests.table.tables import HEADER, read, settings

from catalogsync import MisconfiguredError, TransientError, UnauthorizedError

TEXT = HEADER + "a,Cup,A1,S,1.50,3\n"


def _zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__MACOSX/._shop.csv", b"x")
        archive.writestr("shop.csv", TEXT)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("shop.csv.gz", lambda file: file.write_bytes(gzip.compress(TEXT.encode()))),
        ("shop.zip", _zip),
        (
            "shop.csv.zst",
            lambda file: file.write_bytes(
                zstandard.ZstdCompressor().compress(TEXT.encode())
            ),
        ),
        ("shop", lambda file: file.write_bytes(gzip.compress(TEXT.encode()))),
    ],
)
async def test_compressed_files(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / name)
    products, _ = await read(settings(tmp_path / name))
    assert [product.title for product in products] == ["Cup"]


async def test_the_newest_of_several_files(tmp_path: Path) -> None:
    for age, title in ((30, "Old"), (10, "New"), (20, "Older")):
        file = tmp_path / f"shop-{title}.csv"
        file.write_text(TEXT.replace("Cup", title))
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    products, _ = await read(settings(tmp_path / "shop-*.csv"))
    assert [product.title for product in products] == ["New"]
    with pytest.raises(MisconfiguredError, match=r"no file matches .*none-\*"):
        await read(settings(tmp_path / "none-*.csv"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A server with the files of the folder; `/secret` needs a password."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/secret": 401, "/down": 503}.get(self.path)
            if status is None:
                super().do_GET()
            else:
                self.send_error(status)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: Handler(*a, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_file_on_a_web_server(site: str, tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(TEXT)
    products, _ = await read(settings(f"{site}/shop.csv"))
    assert [product.title for product in products] == ["Cup"]
    with pytest.raises(MisconfiguredError, match=r"none.csv does not exist"):
        await read(settings(f"{site}/none.csv"))
    with pytest.raises(UnauthorizedError, match="/secret: HTTP 401"):
        await read(settings(f"{site}/secret"))
    with pytest.raises(TransientError, match="/down cannot be read: HTTP 503"):
        await read(settings(f"{site}/down"))


async def test_files_that_do_not_exist_or_cannot_be_read(tmp_path: Path) -> None:
    for location, problem in (
        (tmp_path / "none.csv", "none.csv does not exist"),
        (tmp_path, "is a folder; add /"),
        ("nosuch://x/y.csv", "nosuch://x/y.csv has a protocol that fsspec"),
        ("sftp://user:secret@host/y.csv", "sftp:// needs: pip install paramiko"),
    ):
        with pytest.raises(MisconfiguredError) as caught:
            await read(settings(location))
        assert problem in str(caught.value)
        assert "secret" not in str(caught.value)
    assert "secret" not in repr(settings("sftp://user:secret@host/y.csv"))
    async with settings(tmp_path / "none.csv").open() as source:
        (check,) = await source.check()
    assert (check.ok, check.what) == (False, "location")


async def test_a_file_that_is_cut_may_be_complete_later(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv.gz"
    file.write_bytes(gzip.compress(TEXT.encode() * 50)[:-20])
    with pytest.raises(TransientError, match=r"shop.csv.gz cannot be read"):
        await read(settings(file))


async def test_archives_with_other_things_than_one_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT.replace("Cup", "Pot"))
    with pytest.raises(MisconfiguredError, match=r"member: .*it has: a.csv, b.csv"):
        await read(settings(file))
    products, _ = await read(settings(file, 'member = "b*"'))
    assert [product.title for product in products] == ["Pot"]
    link = zipfile.ZipInfo("shop.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(MisconfiguredError, match=r"shop.csv is a link"):
        await read(settings(file))
    file.write_bytes(b"PK\x03\x04" + b"x" * 100)
    with pytest.raises(MisconfiguredError, match=r"damaged zip"):
        await read(settings(file))


async def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv.gz"
    with gzip.open(file, "wb") as bomb:
        bomb.write(TEXT.encode())
        for _ in range(300):
            bomb.write(b"\0" * (1 << 20))
    with pytest.raises(MisconfiguredError, match="expands more than 250 times"):
        await read(settings(file))
    file = tmp_path / "large.csv"
    file.write_text(TEXT * 1000)
    with pytest.raises(MisconfiguredError, match="raise max_size"):
        await read(settings(file, "max_size = 5000"))


async def test_cells_and_headers_beyond_all_measure(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    long = "x" * 9_000_000
    file.write_text(
        f"{TEXT}b,{long},B,S,1,1\nc,{long[:5_000_000]},C,S,1,1\nd,Pan,D,S,1,1\n"
    )
    products, rejected = await read(settings(file))
    assert [product.title for product in products] == ["Cup", "Pan"]
    assert [str(each) for each in rejected] == [
        "row 3: is longer than 8 million characters",
        "row 4: has a cell of more than 4 million characters",
    ]
    wide = '"' + "\u4e00" * 4_000_000 + '"'
    file.write_text(f"{TEXT}b,{wide},{wide},{wide},1,1\nc,Pan,C,S,1,1\n")
    products, rejected = await read(settings(file))
    assert [product.title for product in products] == ["Cup", "Pan"]
    assert [each.reason for each in rejected] == ["is longer than 8 million characters"]
    many = ",".join(wide[:1_500_000] + '"' for _ in range(5))
    file.write_text(f"{TEXT}b,{many}\nc,Pan,C,S,1,1\n")
    products, _ = await read(settings(file))
    assert [product.title for product in products] == ["Cup", "Pan"]
    file.write_text("," * 1_000_000 + "\n" + TEXT)
    with pytest.raises(MisconfiguredError, match="columns, more than 10000"):
        await read(settings(file, "header_row = 1"))
    products, _ = await read(settings(file))
    assert [product.title for product in products] == ["Cup"]
