"""Files that are still being uploaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.table.tables import HEADER, read, settings
from tests.table.test_skipping import served

from catalogsync import MisconfiguredError, TransientError
from catalogsync.files import Upload

ROW = "a,Shirt,A,S,1,2\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "shop.csv"
    found.write_text(HEADER + ROW)
    return found


@hypothesis_settings(max_examples=50)
@given(st.integers(1, 10_000), st.integers(-100, 20_000))
def test_the_last_change_decides(settled: int, age: int) -> None:
    """A file is complete exactly when it is old enough; otherwise it says when."""
    file = Path(__file__)
    changed = file.stat().st_mtime
    upload = Upload(settled=settled, clock=lambda: changed + age)
    if age >= settled:
        assert upload.find(str(file)).size
        return
    with pytest.raises(TransientError, match="is still being uploaded") as caught:
        upload.find(str(file))
    assert caught.value.retry_after == min(settled - age, settled)


async def test_a_source_waits(file: Path) -> None:
    what = settings(file, "settled = 30")
    with pytest.raises(
        TransientError, match=r"is still being uploaded: it was changed"
    ):
        await read(what)
    os.utime(file, (time.time() - 31,) * 2)
    products, _ = await read(what)
    assert len(products) == 1


@pytest.mark.parametrize("name", ["shop.csv.done", "shop.done"])
async def test_a_marker(file: Path, name: str) -> None:
    what = settings(file, 'marker = "*.done"')
    with pytest.raises(TransientError) as caught:
        await read(what)
    assert str(caught.value) == (
        f"{file} is still being uploaded: there is no shop.csv.done or shop.done beside it"
    )
    file.with_name(name).touch()
    assert len((await read(what))[0]) == 1
    ready = settings(file, 'marker = "READY"')
    with pytest.raises(TransientError, match="there is no READY beside it"):
        await read(ready)
    with pytest.raises(MisconfiguredError, match="must be the name of a file"):
        settings(file, 'marker = "../x"')


@pytest.mark.parametrize("grows", [True, False])
def test_two_looks_at_a_server_that_knows_no_time(grows: bool) -> None:
    text = HEADER

    def pause(seconds: float) -> None:
        nonlocal text
        assert seconds == 5
        text += ROW * grows

    with served(lambda: (text, {})) as place:
        find: Callable[[str], object] = Upload(settled=5, pause=pause).find
        if not grows:
            assert find(place)
            return
        with pytest.raises(TransientError, match="it changed within 5 s"):
            find(place)


def test_a_file_that_changes_while_it_is_read(file: Path) -> None:
    upload = Upload(settled=5, clock=lambda: time.time() + 60)
    found = upload.find(str(file))
    upload.check_same(found, str(file))
    file.write_text(HEADER)
    with pytest.raises(TransientError, match="it changed while it was read"):
        upload.check_same(found, str(file))
