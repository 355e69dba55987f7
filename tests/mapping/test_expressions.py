"""What an expression does to a value, step by step."""

from __future__ import annotations

import sys
from decimal import Decimal
from types import ModuleType

import pytest
from tests.mapping.mappings import mapping, product, reason, value

from catalogsync import UNSET, MisconfiguredError


@pytest.mark.parametrize(
    ("toml", "values", "expected"),
    [
        ('"A"', {"A": " red "}, "red"),
        ('"A [x]"', {"A [x]": "1"}, "1"),
        ('"Length (cm)"', {"Length (cm)": "12"}, "12"),
        ('"length(a)"', {"a": ["x", "y"]}, 2),
        ('"a.b[1].c"', {"a": {"b": [{}, {"c": "deep"}]}}, "deep"),
        ('"a.b"', {"a.b": "column", "a": {"b": "path"}}, "column"),
        ('{ from = ["A", "B"] }', {"A": " ", "B": "second"}, "second"),
        ('{ all = ["A", "B", "C"] }', {"A": "1", "B": "", "C": "3"}, ["1", "3"]),
        ('{ all = "Image *" }', {"Image 1": "a", "Image 2": "b", "X": "c"}, ["a", "b"]),
        ('{ all = "P * [USD]" }', {"P 1 [USD]": "a", "P 1 U": "b"}, ["a"]),
        ('"Weight (*)"', {"Weight (lb)": "", "Weight (kg)": "3"}, "3"),
        ('{ from = "W *", unit = "*" }', {"W kg": "3"}, "3 kg"),
        ('{ from = "W *", unit = "*" }', {"W": "3"}, None),
        ('{ from = "W *", unit = "*", blank = ["0"] }', {"W kg": "0"}, None),
        ('{ value = "always" }', {}, "always"),
        ("{ value = true }", {}, True),
        ('{ template = "{A}-{B}" }', {"A": " 1 ", "B": "2"}, "1-2"),
        ('{ template = "{{{A}}}" }', {"A": "1"}, "{1}"),
        ('{ template = "{A}-{B}" }', {"A": "1", "B": ""}, None),
        (
            '{ all = ["A", "B"], template = "/{value}" }',
            {"A": "1", "B": "2"},
            ["/1", "/2"],
        ),
        ('{ from = "A", split = "," }', {"A": "red, blue,,"}, ["red", "blue"]),
        ('{ all = ["A", "B"], split = "," }', {"A": "a, b", "B": "c"}, ["a", "b", "c"]),
        ('{ from = "A", split = ",", join = " & " }', {"A": "red, blue"}, "red & blue"),
        ('{ from = "A", escapes = true }', {"A": r"a\nb\\n"}, "a\nb\\n"),
        ('"A"', {"A": r"a\nb"}, r"a\nb"),
        ('{ from = "A", match = "^[+](.*)" }', {"A": "+/x.jpg"}, "/x.jpg"),
        ('{ from = "A", match = "^[+](.*)" }', {"A": "/x.jpg"}, None),
        ('{ from = "A", blank = ["0.0", "N/A"] }', {"A": "n/a"}, None),
        ('{ from = "A", words = { "In Stock" = 10 } }', {"A": "in stock"}, 10),
        ('{ from = "A", words = { true = "yes" } }', {"A": True}, "yes"),
        ('{ from = "A", words = { a = "b" } }', {"A": "other"}, "other"),
        ('{ from = "A", default = "none" }', {"A": ""}, "none"),
        ('{ from = "A", html = "keep" }', {"A": "<b>x</b>"}, "<b>x</b>"),
        ('{ from = "A", html = "strip" }', {"A": "<b>x</b><br>y &amp; z"}, "x\ny & z"),
        (
            '{ from = "A", html = "sanitize" }',
            {"A": "<b onclick='x()'>x</b><script>y()</script>"},
            "<b>x</b>",
        ),
        ('"A"', {"A": Decimal("1.50")}, "1.50"),
        ('"A"', {"A": 3}, 3),
    ],
)
def test_the_value_of_an_expression(
    toml: str, values: dict[str, object], expected: object
) -> None:
    assert value(toml, **values) == expected


def test_a_function_receives_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ModuleType("shop_rules")
    rules.__dict__["doubled"] = lambda values: values["A"] * 2
    monkeypatch.setitem(sys.modules, "shop_rules", rules)
    assert value('{ python = "shop_rules:doubled" }', A="ab") == "abab"
    text = reason('attributes.x = { python = "shop_rules:doubled" }', {})
    assert text == ("row 2: attributes.x: `shop_rules:doubled` raised KeyError: 'A'")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('title = { form = "A" }', "title.form: unknown key; did you mean `from`?"),
        ('titel = "A"', "titel: unknown key; did you mean `title`?"),
        ('title = ""', "title: must not be empty"),
        ("title = 3", "title: must be a table, not a whole number"),
        ("title = { from = [1] }", "title.from[0]: must be text, not a whole number"),
        (
            "title = { value = 1.5 }",
            "title.value: must be text or a whole number or true or false",
        ),
        ('title = { from = "A", html = "no" }', "title.html: must be one of"),
        ("title = {}", "title: needs `from`, `all`, `template`, `value` or `python`"),
        (
            'title = { from = "A", value = "B" }',
            "title: `from` and `value` exclude each other",
        ),
        ('title = { template = "{A" }', "title.template: has a brace"),
        ('title = { from = "A", match = "(" }', "title.match: is not a regular"),
        (
            'title = "A"\nweight = { from = "W", unit = "kgg" }',
            'weight.unit: unknown unit "kgg"; did you mean `kg`?',
        ),
        (
            'title = "A"\nweight = { from = "W", unit = "*" }',
            'weight.unit: "*" needs one column with `*` in its name',
        ),
        (
            'title = "A"\nprice = { from = "P", currency = "eur" }',
            "price.currency: must be upper case: `EUR`",
        ),
        (
            'title = "A"\nprice = { from = "P", currency = "EURO" }',
            "price.currency: is not an ISO 4217 code of a currency; did you mean `EUR`",
        ),
        (
            'title = "A"\nprices.euro = "P"',
            "prices.euro: must be an ISO 4217 code in upper case",
        ),
        (
            'title = "A"\noption_pairs = [["A"]]',
            "option_pairs[0]: must be the column of the name and",
        ),
        (
            'title = { python = "no_such_module_here:f" }',
            "title.python: cannot be imported",
        ),
        ('title = { python = "os" }', "title.python: must be `module:function`"),
        ('title = { from = "A", decimal = ";" }', "title.decimal: must be one of"),
    ],
)
def test_a_mapping_that_is_not_valid_is_refused_with_its_path(
    toml: str, message: str
) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        mapping(f'key = "id"\n{toml}')
    assert str(caught.value).startswith(message)


def test_a_missing_value_leaves_the_field_alone_or_clears_it() -> None:
    kept = product('brand = "B"\ntags = "T"\nprices.EUR = "P"\nsku = "S"', {"S": "1"})
    assert (kept.brand, kept.tags) == (UNSET, UNSET)
    assert kept.variants
    assert kept.variants[0].prices == UNSET
    clear = 'empty = "clear"'
    cleared = product(
        f'brand = {{ from = "B", {clear} }}\ntags = {{ from = "T", {clear} }}\n'
        f'prices.EUR = {{ from = "P", {clear} }}\nsku = "S"\n'
        f'barcode = {{ from = "E", {clear} }}\nlength = {{ from = "L", {clear} }}',
        {"S": "1"},
    )
    assert (cleared.brand, cleared.tags, cleared.dimensions) == (None, (), None)
    assert cleared.variants
    assert (cleared.variants[0].prices, cleared.variants[0].barcode) == ((), None)
