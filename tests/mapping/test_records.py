"""Which records are one product, and what they say together."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.mapping.mappings import made, mapping, product, reason, rows

from catalogsync import (
    UNSET,
    Category,
    Dimensions,
    MisconfiguredError,
    Product,
    ProductStatus,
    StockLevel,
)
from catalogsync.catalog.outcomes import Rejected
from catalogsync.mapping import Record

OPTIONS = 'sku = "sku"\noption_pairs = [["Option * Name", "Option * Value"]]\n'


def test_a_record_without_a_key_continues_the_one_before() -> None:
    found = mapping('key = { from = ["parent", "id"] }\ntitle = "name"')
    keys = [
        found.group_of(Record(where="", values=values))
        for values in ({"id": 7}, {"parent": " "}, {"parent": "7", "id": "8"}, {})
    ]
    assert keys == ["7", None, "7", None]


def test_each_field_comes_from_the_first_record_that_has_it() -> None:
    found = product(
        'brand = "B"\nimages = "I"\ntags = { from = "T", split = "," }\n'
        'status = { from = "S", words = { active = "published" } }',
        {"B": "", "I": "a.jpg", "T": "x, y"},
        {"B": "Acme", "I": "b.jpg", "T": "y, z", "S": "active"},
        {"B": "Other", "I": "a.jpg"},
    )
    assert (found.brand, found.status) == ("Acme", ProductStatus.PUBLISHED)
    assert found.tags == ("x", "y", "z")
    assert found.images
    assert [image.url for image in found.images] == ["a.jpg", "b.jpg"]


def test_texts_for_customs_and_discounts() -> None:
    given = (
        'subtitle = "S"\nmaterial = "M"\nhs_code = "H"\n'
        'origin_country = "O"\nmid_code = "C"\ntype = "Y"\ncollection = "L"\n'
        'discountable = { from = "D", words = { ja = true } }'
    )
    row = {"id": "1", "name": "Cup", "S": "For tea", "M": "Clay", "H": "6912"}
    found = product(given, {**row, "O": "pt", "C": "X", "D": "ja"})
    texts = (found.subtitle, found.material, found.hs_code, found.mid_code)
    assert texts == ("For tea", "Clay", "6912", "X")
    assert (found.origin_country, found.discountable) == ("PT", True)
    assert (found.type, found.collection) == (UNSET, UNSET)
    found = product(given, {**row, "Y": "Cups", "L": "Summer"})
    assert (found.type, found.collection) == ("Cups", "Summer")
    found = product(given, {**row, "S": "", "D": "No"})
    assert (found.subtitle, found.discountable) == (UNSET, False)
    assert product(given, row).discountable is UNSET
    assert reason(given, {**row, "O": "Portugal"}) == (
        "row 2: origin_country: must be an ISO 3166 code such as 'DE', is 'Portugal'"
    )
    assert reason(given, {**row, "D": "maybe"}) == (
        'row 2: discountable: "maybe" is neither true nor false; add it to `words`'
    )


def test_weights_and_sizes_of_variants() -> None:
    given = (
        'sku = "S"\nweight = { from = "W", unit = "g" }\n'
        'variant_weight = { from = "VW", unit = "kg", decimal = "." }\n'
        'variant_length = { from = "VL", unit = "cm", empty = "clear" }\n'
        'variant_height = { from = "VH", unit = "mm" }'
    )
    row = {"id": "1", "name": "Cup", "W": "300"}
    found = product(
        given,
        {**row, "S": "a", "VW": "0.25", "VL": "2", "VH": "9"},
        {**row, "S": "b", "VW": "0"},
    )
    first, second = found.variants or ()
    assert (found.weight, first.weight, second.weight) == (300, 250, 0)
    assert first.dimensions == Dimensions(length=Decimal(20), height=Decimal(9))
    assert second.dimensions is None
    (only,) = product('sku = "S"', {**row, "S": "a"}).variants or ()
    assert (only.weight, only.dimensions) == (UNSET, UNSET)
    assert reason(given, {**row, "S": "a", "VH": "tall"}).startswith(
        "row 2: variant_height: "
    )


def test_categories_have_levels() -> None:
    found = product(
        'categories = { all = "cat*" }\ncategory_levels = "->"',
        {"cat1": "Men -> Shirts", "cat2": "Women"},
    )
    men = Category(id="Men", name="Men")
    shirts = Category(id="Men > Shirts", name="Shirts", parent=men)
    assert found.categories == (shirts, Category(id="Women", name="Women"))


CATEGORIES = 'categories = { from = "c", split = "|" }\ncategory_levels = "/"\n'


def test_the_categories_of_the_shop(tmp_path: Path) -> None:
    toml = (
        CATEGORIES + 'category_map = { "Herren/Hemden" = "Men > Shirts", SALE = "" }\n'
    )
    record = {"c": "herren/hemden|Sale|Damen/Schuhe"}
    shirts = "Men > Shirts"
    for unmapped, ids in (("keep", [shirts, "Damen > Schuhe"]), ("drop", [shirts])):
        found = product(f'{toml}unmapped_categories = "{unmapped}"', record)
        assert [category.id for category in found.categories or ()] == ids
    text = reason(f'{toml}unmapped_categories = "reject"', record)
    assert text == 'row 2: categories: "Damen/Schuhe" is not in the table of categories'
    (row,) = rows(record)
    assert mapping(f'key = "c"\ntitle = "c"\n{toml}').unmapped(row) == ["Damen/Schuhe"]


def test_a_file_with_the_categories_of_the_shop(tmp_path: Path) -> None:
    file = tmp_path / "categories.csv"
    file.write_text('Herren/Hemden;"Men > Shirts"\n\nSale;Sale\n')
    toml = f'{CATEGORIES}category_file = "{file}"\ncategory_map = {{ Sale = "" }}'
    found = product(toml, {"c": "Herren/Hemden|Sale"})
    assert [category.id for category in found.categories or ()] == ["Men > Shirts"]
    file.write_text("a;b;c\n")
    for content, problem in ((None, "row 1 of .* has 3"), (b"\xff", "is not UTF-8")):
        if content:
            file.write_bytes(content)
        with pytest.raises(MisconfiguredError, match=f"category_file: .*{problem}"):
            product(toml, {"c": "x"})
    file.unlink()
    with pytest.raises(MisconfiguredError, match=r"category_file: .* cannot be read"):
        product(toml, {"c": "x"})


def test_weights_and_sizes_are_converted() -> None:
    found = product(
        'weight = { template = "{w} {unit}" }\nlength = { from = "l", unit = "in" }',
        {"w": "2.5", "unit": "kg", "l": "10"},
    )
    assert found.weight == 2500
    assert found.dimensions == Dimensions(length=Decimal(254))


@pytest.mark.parametrize(
    ("column", "grams"),
    [
        ("Weight (kg)", 500),
        ("Weight (lbs)", Decimal("226.796185")),
        ("Weight (g)", None),
    ],
)
def test_the_unit_of_a_weight_is_in_the_header(
    column: str, grams: Decimal | int | None
) -> None:
    cell = ".5" if grams else ""
    found = product('weight = { from = "Weight (*)", unit = "*" }', {column: cell})
    assert found.weight == (grams or UNSET)


def test_options_from_two_lists_and_values_that_stand_for_no_option() -> None:
    toml = (
        'option_pairs = [["o[].name", "o[].value"]]\noption_blank = ["Default Title"]\n'
        'sku = "sku"\nvariants = "v"\n'
    )
    size = [{"name": "Size", "value": "S"}, {"name": "Color", "value": "Red"}]
    none = [{"name": "Title", "value": "default title "}]
    found = [
        product(toml, {"v": [{"sku": "1", "o": options}]}) for options in (size, none)
    ]
    assert [dict(v.options) for each in found for v in each.variants or ()] == [
        {"Size": "S", "Color": "Red"},
        {},
    ]


def test_options_in_one_cell() -> None:
    toml = 'sku = "sku"\noption_list = { from = "v", split = "," }'
    found = product(toml, {"sku": "1", "v": "Color=Red, Screen size: 13:9 = wide,"})
    assert found.variants
    assert found.variants[0].options == {"Color": "Red", "Screen size": "13:9 = wide"}
    assert "option_list: 'Red' has no name, as in" in reason(
        toml, {"sku": "1", "v": "Red"}
    )


def test_two_lists_of_options_that_do_not_fit() -> None:
    toml = 'option_pairs = [["n", "v"]]\nsku = "sku"'
    found = reason(toml, {"sku": "1", "n": ["a"], "v": ["1", "2"]})
    assert "`n` and `v` have different numbers of items" in found


def test_variants_with_options_from_pairs_of_columns() -> None:
    found = product(
        OPTIONS + 'prices.EUR = "eur"\nstock_at.Berlin = "b"\nstock_at.Rome = "r"',
        {
            "sku": "S",
            "Option 1 Name": "Size",
            "Option 1 Value": "S",
            "eur": "1",
            "b": "3",
        },
        {"sku": "M", "Option 1 Value": "M", "eur": "2", "b": "0", "r": "5"},
    )
    assert found.variants
    small, medium = found.variants
    assert (small.id, small.options) == ("S", {"Size": "S"})
    assert (medium.id, medium.options) == ("M", {"Size": "M"})
    assert medium.stock == (
        StockLevel(quantity=0, location="Berlin"),
        StockLevel(quantity=5, location="Rome"),
    )


def test_rows_of_a_product_and_rows_that_carry_only_a_price() -> None:
    found = product(
        OPTIONS + 'variant_if = "Option 1 Value"\nprice = "p"\ncurrency = "c"',
        {"sku": "P", "p": "0", "c": "USD"},
        {
            "sku": "A",
            "p": "10",
            "c": "USD",
            "Option 1 Name": "Size",
            "Option 1 Value": "S",
        },
        {"sku": "A", "p": "9", "c": "EUR"},
    )
    assert found.variants
    (only,) = found.variants
    assert only.prices
    amounts = [(price.currency, price.amount) for price in only.prices]
    assert amounts == [("USD", 10), ("EUR", 9)]


def test_a_product_row_without_variants_is_the_variant() -> None:
    found = product(
        OPTIONS + 'variant_if = "Option 1 Value"\nprices.EUR = "p"',
        {"sku": "P", "p": "5"},
        {"image": "x"},
    )
    assert found.variants
    assert [variant.sku for variant in found.variants] == ["P"]


def test_variants_nested_in_a_record() -> None:
    found = product(
        'variants = "items"\nvariant = "no"\noptions.Size = "size"\n'
        'price = { from = "price", currency = "EUR", divide_by = 100 }\n'
        'barcode = "product.ean"\nvariant_order = "rank"',
        {
            "ean": "40",
            "items": [
                {"no": 1, "size": "S", "price": 1250, "rank": 2},
                {"no": 2, "size": "M", "price": 1300, "rank": 1},
            ],
        },
    )
    assert found.variants
    assert [variant.id for variant in found.variants] == ["2", "1"]
    assert {variant.barcode for variant in found.variants} == {"40"}
    assert found.variants[1].prices
    assert found.variants[1].prices[0].amount == Decimal("12.5")


def test_what_is_wrong_is_said_with_the_row_and_the_field() -> None:
    assert reason('prices.EUR = "p"', {"p": "1"}, {"p": "1.234"}) == (
        'row 3: prices.EUR: "1.234" may be 1234 or 1.234: '
        'set decimal = "." or decimal = ","'
    )
    assert reason('price = "p"', {"p": "5"}).startswith(
        'row 2: price: "5" has no currency'
    )
    assert reason('stock = "s"', {"s": Decimal("Infinity")}) == (
        "row 2: stock: must be a number of pieces, is Infinity"
    )
    assert reason('status = "s"', {"s": "live"}) == (
        'row 2: status: "live" is neither `published` nor `draft`; add it to `words`'
    )
    assert reason('brand = "b"', {"b": ["x"]}).startswith("row 2: brand: is a list")
    assert reason('brand = "b"', {"b": {"x": 1}}).startswith(
        "row 2: brand: has parts (`x`)"
    )
    assert reason("", {"name": ""}) == "row 2: title: is missing"
    assert reason("", {"id": ""}) == "row 2: key: is missing"
    assert reason('prices.EUR = "p"', {"p": "-1"}).startswith("row 2: prices.EUR: must")
    assert reason('variants = "v"', {"v": ["x"]}) == (
        "row 2: variants[0]: is not an object"
    )


def test_variants_that_cannot_be_told_apart_are_refused() -> None:
    assert reason('prices.EUR = "p"', {"p": "1"}, {"p": "2"}).startswith(
        "row 2: variant: cannot be told from the other variants"
    )
    assert reason(
        'sku = "s"\nprices.EUR = "p"', *({"s": "A", "p": p} for p in "12")
    ) == ("row 3: prices.EUR: is 1 and 2 for one variant")
    assert reason('sku = "s"\nstock = "p"', *({"s": "A", "p": p} for p in "12")) == (
        "row 3: stock: is 1 and 2 for one variant"
    )


LEAF = st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=8)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
COLUMNS = ("id", "name", "p", "s", "w", "Option 1 Name", "Option 1 Value", "v", "c")
WIDE = (
    OPTIONS + 'variant = "v"\nprice = "p"\ncurrency = "c"\nstock = "s"\n'
    'weight = { from = "w", unit = "kg" }\ncategories = "c"\ntags = "v"\n'
    'images = "p"\nattributes.all = "w"\nvariant_order = "s"\nstatus = "c"\n'
)


@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS), JSON), min_size=1, max_size=4)
)
def test_any_records_end_in_a_product_or_a_rejection(
    records: list[dict[str, object]],
) -> None:
    for toml in (WIDE, WIDE + 'variants = "v"\nvariant_if = "s"\n'):
        found = mapping(f'key = "id"\ntitle = "name"\n{toml}').product(
            "shop", rows(*records)
        )
        assert isinstance(found, Product | Rejected)


def test_the_key_of_a_rejected_product_is_given_if_it_is_known() -> None:
    found = made('prices.EUR = "p"', {"p": "x"})
    assert isinstance(found, Rejected)
    assert (str(found.key), found.path) == ("shop:1", "prices.EUR")
