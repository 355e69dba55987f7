"""The page of all messages is complete, and its texts are tidy."""

from __future__ import annotations

import ast
import re

import pytest
from tests.messages import PACKAGE, messages, of_module, of_template, page
from tests.words import ALLOWED, abandoned_words

MESSAGES = tuple(messages())
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
MODULES = {"batching", "errors", "events", "plans", "protocols", "report", "schedule"}


def test_every_room_has_messages() -> None:
    assert {message.room for message in MESSAGES} >= ROOMS | MODULES


def test_the_page_has_every_message() -> None:
    text = page()
    assert [m.where for m in MESSAGES if f"- {m.where}: " not in text] == []
    assert text.count("\n- ") == len(MESSAGES)


def test_messages_are_tidy() -> None:
    untidy = re.compile(r" $|\S  |[^.]\.\.(?!\.)|\s[,;](?:\s|$)", re.MULTILINE)
    code = "(...)"
    assert [m for m in MESSAGES if untidy.search(m.text.replace(code, ""))] == []


def test_messages_use_the_words_of_the_glossary() -> None:
    found = [
        (message.where, word)
        for message in MESSAGES
        for word in abandoned_words(message.text)
        if word not in ALLOWED.get(message.where.split(":")[0], ())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ('raise E("no such", f" job {name!r}")', ["no such", " job {name}"]),
        ('x = "a run " + f"of {job} " + ended', ["a run of {job} {ended}"]),
        ('def f():\n    """No message."""\n    """Nor this."""', []),
        ('@x.command()\ndef f():\n    """Run it."""', ["Run it."]),
        ('cast("list[str]", "a text")', ["a text"]),
    ],
)
def test_texts_of_a_module(code: str, texts: list[str]) -> None:
    assert [text for _, text in of_module(ast.parse(code))] == texts


def test_texts_of_a_template() -> None:
    line = '<p id="a b">{% if x %}Next <b>run</b>{% endif %}</p>{{ f("Sync now") }}'
    texts = [text for _, text in of_template(line) if text]
    assert texts == ["Next", "run", '{{ f("Sync now") }}', "Sync now"]
