"""DummyJSON's products, page by page: what the real server answers, ours does too."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

Record = dict[str, Any]


async def answer(api: aiohttp.ClientSession, path: str, code: int = 200) -> Any:
    """The JSON at a path, whose status must be as expected."""
    async with api.get(path) as response:
        assert response.status == code
        return await response.json(content_type=None)


async def ids(api: aiohttp.ClientSession, path: str) -> list[int]:
    return [record["id"] for record in (await answer(api, path))["products"]]


# Pages


@pytest.mark.parametrize(
    ("query", "part", "skip"),
    [
        ("", slice(30), 0),
        ("limit=0", slice(None), 0),
        ("limit=1000", slice(None), 0),
        ("limit=-1", slice(-1), 0),
        ("limit=-1000", slice(0), 0),
        ("limit=1.9", slice(1), 0),
        ("limit=-0.5", slice(None), 0),
        ("limit=", slice(0), 0),
        ("limit=.5", slice(0), 0),
        ("limit=Infinity", slice(0), 0),
        ("limit=1e2", slice(1), 0),
        ("limit=0x10", slice(None), 0),
        ("limit=%207", slice(7), 0),
        ("skip=10&limit=5", slice(10, 15), 10),
        ("skip=190", slice(190, None), 190),
        ("skip=194", slice(0), 194),
        ("skip=5000", slice(0), 5000),
        ("skip=-3&limit=2", slice(2), -3),
        ("skip=1.9&limit=1", slice(1, 2), 1),
        ("skip=&limit=2", slice(2), None),
        ("skip=190&limit=-2", slice(190, 192), 190),
        ("delay=1&limit=1", slice(1), 0),
        ("delay=&limit=1", slice(1), 0),
    ],
)
async def test_page(
    api: aiohttp.ClientSession,
    real_records: list[Record],
    query: str,
    part: slice,
    skip: int | None,
) -> None:
    """A page, its total, and its limit: the number of products that it has."""
    expected = real_records[part]
    assert await answer(api, f"/products?{query}") == {
        "products": expected,
        "total": 194,
        "skip": skip,
        "limit": len(expected),
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=abc", "Invalid 'limit' - must be a number"),
        ("limit=1_0", "Invalid 'limit' - must be a number"),
        ("limit=infinity", "Invalid 'limit' - must be a number"),
        ("limit=1&limit=2", "Invalid 'limit' - must be a number"),
        ("skip=abc", "Invalid 'skip' - must be a number"),
        ("skip=x&limit=x", "Invalid 'limit' - must be a number"),
        ("sortBy=price&order=up", "Order can be: 'asc' or 'desc'"),
        ("delay=abc", "Delay must be a number in milliseconds"),
        ("delay=5001", "Delay cannot be greater than 5 seconds"),
        ("delay=-1", "Delay cannot be less than 0"),
        ("q=a&q=b", "Invalid 'q' - must be a string"),
    ],
)
@pytest.mark.parametrize("path", ["/products", "/products/categories", "/nowhere"])
async def test_refused(
    api: aiohttp.ClientSession, path: str, query: str, message: str
) -> None:
    """A bad parameter is refused before the path is checked."""
    assert await answer(api, f"{path}?{query}", 400) == {"message": message}


async def test_bytes_are_json_in_utf8(api: aiohttp.ClientSession) -> None:
    """The content type and length are given; nothing is escaped or spaced."""
    async with api.get("/products?limit=3&select=id") as response:
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        body = b'{"products":[{"id":1},{"id":2},{"id":3}],"total":194,"skip":0,'
        assert await response.read() == body + b'"limit":3}'


# Fields and order


@pytest.mark.parametrize(
    ("select", "fields"),
    [
        ("select=title,price", ["id", "title", "price"]),
        ("select=price,title", ["id", "price", "title"]),
        ("select=id,title,title", ["id", "title"]),
        ("select=nope", ["id"]),
        ("select=,title", ["id", "title"]),
        ("select=%20title", ["id"]),
        ("select=title&select=price", ["id", "title", "price"]),
        ("select=title&select=price,sku", ["id", "title"]),
    ],
)
async def test_select(
    api: aiohttp.ClientSession,
    real_records: list[Record],
    select: str,
    fields: list[str],
) -> None:
    """The id is always there; unknown fields are left out."""
    desired = {name: real_records[0][name] for name in fields}
    (product,) = (await answer(api, f"/products?limit=1&{select}"))["products"]
    assert list(product.items()) == list(desired.items())
    assert await answer(api, f"/products/1?{select}") == desired


async def test_an_empty_select_selects_all(
    api: aiohttp.ClientSession, real_records: list[Record]
) -> None:
    """As if it were not there."""
    assert await answer(api, "/products/1?select=") == real_records[0]


@pytest.mark.parametrize("field", ["price", "stock", "title", "sku"])
async def test_sort(
    api: aiohttp.ClientSession, real_records: list[Record], field: str
) -> None:
    """By value, in the natural order among equals, before the page is cut."""
    records = sorted(real_records, key=lambda record: str_or_number(record[field]))
    expected = [record["id"] for record in records]
    assert await ids(api, f"/products?limit=0&sortBy={field}") == expected
    assert await ids(api, f"/products?limit=0&sortBy={field}&order=") == expected
    assert await ids(api, f"/products?skip=5&limit=5&sortBy={field}") == expected[5:10]


def str_or_number(value: str | float) -> bytes | float:
    return value.encode("utf-16-be") if isinstance(value, str) else value


async def test_sort_descending(
    api: aiohttp.ClientSession, real_records: list[Record]
) -> None:
    """The order may be written in any case; equals keep their natural order."""
    records = sorted(real_records, key=lambda record: -float(record["price"]))
    expected = [record["id"] for record in records]
    assert await ids(api, "/products?limit=0&sortBy=price&order=DESC") == expected


@pytest.mark.parametrize(
    "query", ["sortBy=nope", "sortBy=nope&order=desc", "order=up", "sortBy=&order=up"]
)
async def test_no_order(api: aiohttp.ClientSession, query: str) -> None:
    """An unknown field, or an order without a field, changes nothing."""
    assert await ids(api, f"/products?limit=0&{query}") == list(range(1, 195))


async def test_sort_by_values_that_do_not_compare(api: aiohttp.ClientSession) -> None:
    """Missing values and lists: no crash, and nothing is lost."""
    for field in ("brand", "tags", "dimensions"):
        found = await ids(api, f"/products?limit=0&sortBy={field}&order=desc")
        assert sorted(found) == list(range(1, 195))


# Single products, categories, search


@pytest.mark.parametrize("path", ["/products/7", "/product/7", "/Products/7"])
async def test_product(
    api: aiohttp.ClientSession, real_records: list[Record], path: str
) -> None:
    """One product, by either name of the path."""
    assert await answer(api, path) == real_records[6]


@pytest.mark.parametrize("name", ["195", "0", "abc", "1.0", "01", "category"])
async def test_no_such_product(api: aiohttp.ClientSession, name: str) -> None:
    """The message quotes the request."""
    message = f"Product with id '{name}' not found"
    assert await answer(api, f"/products/{name}", 404) == {"message": message}


async def test_category(api: aiohttp.ClientSession, real_records: list[Record]) -> None:
    """The products of a category, whose name may be written in any case."""
    slug = real_records[0]["category"]
    expected = [record for record in real_records if record["category"] == slug]
    page = await answer(api, f"/products/category/{slug.title()}?limit=2&skip=1")
    assert page["products"] == expected[1:3]
    assert (page["total"], page["limit"]) == (len(expected), len(expected[1:3]))


async def test_no_such_category(api: aiohttp.ClientSession) -> None:
    """An empty page, not an error."""
    empty = {"products": [], "total": 0, "skip": 0, "limit": 0}
    assert await answer(api, "/products/category/nope") == empty


async def test_categories(
    api: aiohttp.ClientSession, real_records: list[Record]
) -> None:
    """As a list of slugs, and with names and addresses."""
    slugs = list(dict.fromkeys(record["category"] for record in real_records))
    assert await answer(api, "/products/category-list") == slugs
    listed = await answer(api, "/products/categories")
    assert [each["slug"] for each in listed] == slugs
    first = slugs[0].replace("-", " ").title()
    url = f"https://dummyjson.com/products/category/{slugs[0]}"
    assert listed[0] == {"slug": slugs[0], "name": first, "url": url}


async def test_search(api: aiohttp.ClientSession, real_records: list[Record]) -> None:
    """Parts of the title or the description, in any case, hyphens as spaces."""
    words = " ".join(real_records[0]["title"].split()[:2])
    for text in (words.upper(), words.replace(" ", "-"), f"%20{words}%20"):
        assert 1 in await ids(api, f"/products/search?q={text}&limit=0")
    expected = [r["id"] for r in real_records if "it" in found_in(r)]
    assert await ids(api, "/products/search?q=it&limit=0") == expected
    assert await ids(api, "/products/search?limit=0") == list(range(1, 195))


def found_in(record: Record) -> str:
    return f"{record['title']}\0{record['description']}".lower()
