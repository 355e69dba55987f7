"""Hostile and damaged XML: each ends with a clear error, within bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.xml_runs import (
    BMECAT,
    MERCHANT,
    OWN,
    SHARED,
    SKROUTZ,
    job,
    read_all,
    settings,
    written,
)

from catalogsync import CatalogSyncError, MisconfiguredError

ITEM = '<item id="1"><name>A</name></item>'
LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10)
)


TEXT = "x" * 1_000_000
MANY = " ".join(f"a{n}='1'" for n in range(5000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"<!DOCTYPE l [{LAUGHS}]><l><item>&l9;</item></l>", "entities expand"),
        (f'<!DOCTYPE l [{LAUGHS}]><l a="&l9;">{ITEM}</l>', "entities"),
        (
            '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
            r"declares entities of its own \(&x;\)",
        ),
        (
            '<!DOCTYPE l [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><l/>',
            "entities|no element",
        ),
        ("<l>" + "<a>" * 1000 + "</a>" * 1000 + "</l>", "nested too deeply"),
        ("<l>" + "<a>" * 230 + "</a>" * 230 + "</l>", "nested deeper than 200"),
        ("<l>" + "<a>" * 1_000_000, "nested too deeply"),
        (f"<l><item>{'x' * 11_000_000}</item></l>", "a text is too long"),
        (f"<l><item>{'<b>x</b>' * 5_000_000}</item></l>", "has over 100000 elements"),
        (f"<l><item>{f'<b>{TEXT}</b>' * 40}</item></l>", "has over 32 MB"),
        (f"<l {MANY}/>", "too many attributes"),
        (f"<l>{ITEM}<item><name>", "ends in the middle"),
        (f"<l>{ITEM}<item", "the file was cut off there"),
        (f"<l>{ITEM}", "ends in the middle"),
        (f"<l>{ITEM}<a></b></l>", "is not closed before the one around it"),
        (f"<l>{ITEM}&nbsp;</l>", "entity that XML does not know"),
        (f"<l>{ITEM}\x00</l>", "damaged at line 1"),
        (b"<l>\xff</l>", "damaged at line 1"),
        ('<?xml version="1.0" encoding="klingon"?><l/>', "encoding that is not known"),
        ("", "it is empty, or it is not XML at all"),
        ("id;name\n1;A\n", "it is empty, or it is not XML at all"),
        ("{}", "it is empty, or it is not XML at all"),
        ("<l/>", "has no element `item`"),
        ("<x:l/>", "prefix without a namespace|no element"),
    ],
    ids=range(24),
)
async def test_each_ends_with_a_clear_error(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    place = written(tmp_path, content)
    with pytest.raises(MisconfiguredError, match=message) as caught:
        await read_all(settings(place).open())
    assert str(place) in caught.value.problem
    assert len(caught.value.problem) < 1000


async def test_the_paths_that_a_file_has_are_named(tmp_path: Path) -> None:
    place = written(tmp_path, f"<rss><channel>{'<item/>' * 3}<title/></channel></rss>")
    with pytest.raises(MisconfiguredError) as caught:
        await read_all(settings(place, records="/rss/item").open())
    assert caught.value.setting == "records"
    assert "has no element `/rss/item`; it has `rss/channel/item` (3 times)" in str(
        caught.value
    )


async def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    place = written(tmp_path, f"<l>{ITEM * 1000}</l>")
    with pytest.raises(MisconfiguredError, match="max_size"):
        await read_all(settings(place, max_size=1000).open())


async def test_a_reader_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    place = written(tmp_path, f"<l>{ITEM * 200_000}</l>")
    async with settings(place).open() as source:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await source.read(None)


FIXTURES = {
    "google-merchant-rss.xml": MERCHANT,
    "bmecat-2005.xml": BMECAT,
    "skroutz-template.xml": SKROUTZ,
}


def originals() -> list[tuple[bytes, str]]:
    """The project's own files, and the shared ones where they are."""
    found = [((OWN / name).read_bytes(), text) for name, text in FIXTURES.items()]
    shared = {"google-merchant-rss.xml": MERCHANT, "bmecat-2005.xml": BMECAT}
    for name, text in shared.items():
        if (SHARED / name).exists():
            found.append(((SHARED / name).read_bytes(), text))
    return found


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with a few pieces removed, doubled, moved or replaced."""
    content = bytearray(data)
    for _ in range(random.randint(1, 4)):
        begin = random.randrange(len(content) + 1)
        end = min(len(content), begin + random.choice((1, 1, 5, 40, 400)))
        piece = bytes(content[begin:end])
        match random.randrange(6):
            case 0:
                del content[begin:end]
            case 1:
                content[begin:begin] = piece * random.randint(1, 50)
            case 2:
                content[begin:end] = random.randbytes(len(piece))
            case 3:
                content[begin:end] = random.choice(
                    (b"<", b">", b"&", b"<![CDATA[", b"]]>", b"<!--", b'"', b"&#0;")
                )
            case 4:
                del content[begin:]
            case _:
                del content[begin:end]
                at = random.randrange(len(content) + 1)
                content[at:at] = piece
    return bytes(content)


@given(seed=st.integers(0, 2**32))
async def test_mutations_end_in_products_or_words(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random = Random(seed)
    data, text = random.choice(originals())
    folder = tmp_path_factory.getbasetemp()
    place = written(folder, mutated(data, random))
    try:
        products, rejected = await read_all(job(folder, place, text).open_source())
    except CatalogSyncError:
        return
    assert products or rejected
