"""XML files as shops and suppliers send them."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.xml_runs import (
    ATOM,
    BMECAT,
    MAPPING,
    MERCHANT,
    ONIX,
    OWN,
    SHARED,
    SKROUTZ,
    job,
    read_all,
    settings,
    written,
)

from catalogsync import (
    MemorySink,
    MisconfiguredError,
    Options,
    ProductKey,
    Rejected,
    RunStatus,
    sync,
)
from catalogsync.adapters.sql import SQLSettings
from catalogsync.adapters.xml import Tree
from catalogsync.mapping import Expression, Sampling


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip("needs the sample feeds")
    return SHARED / name


def amounts(product: Any) -> list[list[str]]:
    return [
        [f"{price.amount} {price.currency}" for price in variant.prices or ()]
        for variant in product.variants
    ]


@pytest.mark.parametrize("text", [MERCHANT, ATOM, BMECAT, ONIX, SKROUTZ])
def test_mappings_have_at_most_25_lines(text: str) -> None:
    assert len(text.strip().splitlines()) <= 25


async def test_a_merchant_feed(tmp_path: Path) -> None:
    """Variants are joined by their group, wherever they stand."""
    opening = job(tmp_path, OWN / "google-merchant-rss.xml", MERCHANT).open_source()
    (cup, pot), rejected = await read_all(opening)
    assert rejected == []
    assert (cup.key.id, cup.title, pot.key.id) == ("cup", "Cup", "pot")
    assert amounts(cup) == [["12.50 EUR"], ["13.50 EUR"]]
    assert [v.options for v in cup.variants] == [
        {"Color": "Red/White"},
        {"Color": "Blue"},
    ]
    assert [image.url for image in cup.images] == [
        "https://shop.example/cup-red.png",
        "https://shop.example/cup-blue.png",
    ]
    assert cup.categories[0].name == "Cups"
    assert cup.categories[0].parent.name == "Kitchen"
    assert round(cup.weight) == 43


async def test_a_catalogue_in_bmecat(tmp_path: Path) -> None:
    """The DTD is not fetched; texts of the header reach each product."""
    opening = job(tmp_path, OWN / "bmecat-2005.xml", BMECAT).open_source()
    (key, pliers), rejected = await read_all(opening)
    assert rejected == []
    assert key.title == 'Schlüssel 13"'
    assert {*key.tags} == {"Stahl", "Werkzeug"}
    assert key.images[0].url == "https://images.example/55.jpg"
    assert (amounts(key), amounts(pliers)) == ([["1499.5 EUR"]], [["5 EUR"]])


async def test_a_template_is_refused(tmp_path: Path) -> None:
    opening = job(tmp_path, OWN / "skroutz-template.xml", SKROUTZ).open_source()
    with pytest.raises(MisconfiguredError) as caught:
        await read_all(opening)
    assert caught.value.problem == (
        f"{OWN / 'skroutz-template.xml'} is a template, not data: in product 1, line 5, `@id`"
        " is '#product_id#', a placeholder for a value; ask for the file that is made"
        " from this template"
    )


async def test_the_shared_merchant_feeds(tmp_path: Path) -> None:
    place = shared("google-merchant-rss.xml")
    (watch,), _ = await read_all(job(tmp_path, place, MERCHANT).open_source())
    assert watch.key.id == "dz1"
    assert amounts(watch) == [["105.29 USD"], ["105.29 USD"]]
    assert watch.variants[1].options == {"Color": "White/Yellow", "Size": "44mm"}
    place = shared("meta-catalog-atom.xml")
    (bowl,), _ = await read_all(job(tmp_path, place, ATOM).open_source())
    assert (bowl.title, amounts(bowl)) == ("Dog Bowl In Blue", [["9.99 GBP"]])


@pytest.mark.parametrize("name", ["bmecat-1.2.xml", "bmecat-2005.xml"])
async def test_the_shared_catalogues(tmp_path: Path, name: str) -> None:
    opening = job(tmp_path, shared(name), BMECAT).open_source()
    (product,), rejected = await read_all(opening)
    assert rejected == []
    assert product.title == 'Apple MacBook Pro 13"'
    assert amounts(product) == [["1499.5 EUR"]]
    assert product.variants[0].barcode == "8712670911213"
    assert product.images[0].url == "https://example.com/images/55-K-31.jpg"
    if "2005" in name:
        assert product.weight == Decimal(1370)


async def test_the_shared_books(tmp_path: Path) -> None:
    opening = job(tmp_path, shared("onix-3.0-books.xml"), ONIX).open_source()
    products, rejected = await read_all(opening)
    assert rejected == []
    assert len(products) == 20  # one stands there twice
    by_id = {product.key.id: product for product in products}
    assert by_id["9781509854172"].title == "147 Things"
    assert amounts(by_id["9781250190451"]) == [["19.99 AUD", "24.99 NZD"]]
    assert all(len(product.variants) == 1 for product in products)


async def test_the_shared_template_is_refused(tmp_path: Path) -> None:
    opening = job(tmp_path, shared("skroutz-template.xml"), SKROUTZ).open_source()
    with pytest.raises(MisconfiguredError, match="is a template, not data"):
        await read_all(opening)


UPDATE = (
    '<BMECAT><T_UPDATE_PRODUCTS prev_version="42"><item id="1"><name>A</name></item>'
    "</T_UPDATE_PRODUCTS></BMECAT>"
)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (None, "must be false: "),
        (41, "is an update (T_UPDATE_PRODUCTS) for version 42, not for version 41"),
        (43, "for version 42, not for version 43; remove `after_version`"),
    ],
)
async def test_an_update_out_of_order(
    tmp_path: Path, after: int | None, message: str
) -> None:
    place = written(tmp_path, UPDATE)
    with pytest.raises(MisconfiguredError) as caught:
        await read_all(settings(place, after_version=after).open())
    assert caught.value.setting == ("after_version" if after else "complete")
    assert message in caught.value.problem


async def test_an_update_in_order_removes_nothing(tmp_path: Path) -> None:
    place = written(tmp_path, UPDATE)
    async with settings(place, after_version=42).open() as source:
        options = Options(complete=False)
        report = await sync(source, MemorySink(), options=options)
    assert report.status is RunStatus.SUCCEEDED
    with pytest.raises(ValueError, match="complete: must be true with `prune`"):
        Options(complete=False, prune="unpublish")  # type: ignore[arg-type]


async def test_the_shared_update_of_prices(tmp_path: Path) -> None:
    place = shared("bmecat-1.2-update-prices.xml")
    with pytest.raises(MisconfiguredError, match=r"an update \(T_UPDATE_PRICES\)"):
        await read_all(job(tmp_path, place, BMECAT).open_source())


async def test_values(tmp_path: Path) -> None:
    """Attributes, mixed content, repeated children, prefixes of the settings."""
    place = written(
        tmp_path,
        '<a xmlns="urn:x" xmlns:p="urn:y"><item id=" 1 " xml:lang="de" p:b="c">'
        "<name>A</name><p:size unit='cm'> 3 </p:size><t>x<u/>y</t><l>1</l><l>2</l>"
        "<![CDATA[ loose ]]><!-- no --><?no no?><l/></item></a>",
    )
    source_settings = settings(place, namespaces={"q": "urn:y"}, records="/a/item")
    async with source_settings.open() as source:
        (found,) = await source.samples(1)
    (record,) = found.records
    assert record.values == {
        "@id": " 1 ",
        "@xml:lang": "de",
        "@q:b": "c",
        "name": "A",
        "q:size": {"@unit": "cm", "#text": " 3 "},
        "t": {"u": "", "#text": "xy"},
        "l": ["1", "2", ""],
        "#text": " loose ",
    }


def items(count: int, **more: str) -> str:
    extra = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    each = (f'<item id="{n}"><name>N {n}</name>{extra}</item>' for n in range(count))
    return f"<list>{''.join(each)}</list>"


async def test_pages_and_single_products(tmp_path: Path) -> None:
    place = written(tmp_path, items(25))
    products, _ = await read_all(settings(place, page_size=10).open())
    assert [product.key.id for product in products] == [str(n) for n in range(25)]
    async with settings(place).open() as source:
        keys = [ProductKey("feed", "7"), ProductKey("feed", "x"), ProductKey("o", "1")]
        page = await source.get(keys)
        assert [product.title for product in page.products] == ["N 7"]
        (result,) = await source.check()
        assert result.text == f"{place}: 25 products"


async def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    place = written(tmp_path, gzip.compress(items(3).encode()), "feed.xml.gz")
    assert len((await read_all(settings(place).open()))[0]) == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
async def test_encodings(tmp_path: Path, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><l><item id="1"><name>Ü</name></item></l>'
    place = written(tmp_path, text.encode(encoding))
    (product,), _ = await read_all(settings(place).open())
    assert product.title == "Ü"


async def test_records_that_are_no_products(tmp_path: Path) -> None:
    place = written(
        tmp_path,
        '<!DOCTYPE l SYSTEM "l.dtd"><l><item><name>No key</name></item>\n'
        '<item id="2"/><item id="3"><name>A&nbsp;B</name></item>'
        '<item id="4"><name>Good</name></item></l>',
    )
    products, rejected = await read_all(settings(place).open())
    assert [product.title for product in products] == ["Good"]
    assert sorted(f"{each.where}: {each.reason}" for each in rejected) == [
        "item 1, line 1: key: is missing",
        "item 2, line 2: title: is missing",
        "item 3, line 2: uses &nbsp;, which only a DTD explains, and DTDs are not read",
    ]


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"records": "channel//item"}, "records"),
        ({"records": ""}, "records"),
        ({"records": ()}, "records"),
        ({"records": "item[1]"}, "records"),
        ({"outside": {"x": "a b"}}, "outside.x"),
    ],
)
def test_settings_that_are_not_valid(given: Any, setting: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        settings("feed.xml", **given)
    assert caught.value.setting == setting


def test_a_repr_has_no_password() -> None:
    assert "s3cret" not in repr(settings("sftp://me:s3cret@host/feed.xml?key=s3cret"))


async def test_a_million_bytes_outside_of_records_are_forgotten(tmp_path: Path) -> None:
    head = "".join(f"<note>{'x' * 1000}</note>" for _ in range(1000))
    place = written(
        tmp_path, f"<l lang='de'><h>{head}</h><item id='1'><name>A</name></item></l>"
    )
    given = {"outside": {"language": "/l/@lang", "last": "h/note"}}
    async with settings(place, **given).open() as source:
        assert len((await source.read(None)).products) == 1
        assert source._read.outside == {"language": "de", "last": "x" * 1000}


@pytest.mark.parametrize(
    ("name", "text"),
    [("google-merchant-rss.xml", MERCHANT), ("bmecat-2005.xml", BMECAT)],
)
async def test_a_second_run_writes_nothing(
    tmp_path: Path, name: str, text: str
) -> None:
    """And one changed price updates one product."""
    content = (OWN / name).read_bytes()
    place = written(tmp_path, content)
    made = job(tmp_path, place, text)
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    first, again = [await attrs.evolve(made, sink=sink).run() for _ in range(2)]
    assert (first.counts.created, again.counts.unchanged) == (2, 2)
    place.write_bytes(
        content.replace(b"12.50 EUR", b"12.40 EUR").replace(b">5<", b">6<")
    )
    changed = await attrs.evolve(made, sink=sink).run()
    assert (changed.counts.updated, changed.counts.unchanged) == (1, 1)


async def test_samples_show_records(tmp_path: Path) -> None:
    place = written(
        tmp_path, items(5).replace("N 3", "").replace("<list>", "<list><v>7</v>")
    )
    given = {"outside": {"version": "v"}, "complete": False}
    async with settings(place, **given).open() as source:
        assert isinstance(source, Sampling)
        assert not source.complete
        assert len(await source.samples(3)) == 3
        (sample,) = await source.samples(3, keys=["3", "9"])
    assert isinstance(sample.result, Rejected)
    assert sample.records[0].values == {"@id": "3", "name": "", "version": "7"}


NODES = [("1", "a", "2"), ("2", "b>c", "1"), ("3", "d", "1"), ("4", "e", "9")]


@given(st.permutations(NODES))
async def test_a_tree_of_categories(
    tmp_path_factory: pytest.TempPathFactory, nodes: list[tuple[str, str, str]]
) -> None:
    """In any order, with a circle and a parent that is not there; unknown ids are left out."""
    tree = "".join(
        f"<node id='{id_}'><name>{name.replace('>', '&gt;')}</name><up>{up}</up></node>"
        for id_, name, up in nodes
    )
    ids = "".join(f"<in>{id_}</in>" for id_ in "34x")
    place = written(
        tmp_path_factory.getbasetemp(),
        f"<l><item id='1'><name>A</name>{ids}</item><tree>{tree}</tree></l>",
        "tree.xml",
    )
    mapping = attrs.evolve(
        MAPPING,
        categories=Expression(all="in", lookup="category_tree"),
        category_levels=">",
    )
    where = Tree(nodes="tree/node", id="@id", name="name", parent="up")
    given = {"category_tree": where, "map": mapping}
    (product,), rejected = await read_all(settings(place, **given).open())
    assert rejected == []
    found = [category.id for category in product.categories or ()]
    assert found == ["b\u203ac > a > d", "e"]


async def test_two_trees_with_the_same_ids(tmp_path: Path) -> None:
    nodes = "<n id='1'><name>a</name></n><n id='1'><name>b</name></n>"
    place = written(tmp_path, f"<l>{nodes}<item id='1'><name>A</name></item></l>")
    where = Tree(nodes="n", id="@id", name="name", parent="up")
    with pytest.raises(MisconfiguredError, match="two nodes have the id 1, 'a' and"):
        await read_all(settings(place, category_tree=where).open())
