"""Examining an XML file: which elements are records, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import IO, Any

import attrs

from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.files import check_installed, find_file
from catalogsync.mapping import Guess, Proposal, RecordMapping, guess, paths_of

from ._parser import Path, pull_parser
from ._problems import check_data, damaged
from ._settings import XMLSettings
from ._values import Element, Names, values_of

__all__ = ["sniff"]

_READ = 4 << 20
_CHUNK = 1 << 16
_SAMPLE = 50
_MOST_PATHS = 200
_FIELDS = 3
_DEEPEST = 30
_TELLING = 4

_Found = dict[tuple[str, ...], list[Mapping[str, object]]]


@attrs.frozen
class _Candidate:
    """Elements that may be the records.

    Attributes:
        path: Names of the elements from the root.
        records: Some of them.
        guess: The map that is proposed for them.
    """

    path: tuple[str, ...]
    records: Sequence[Mapping[str, object]]
    guess: Guess

    @property
    def score(self) -> tuple[int, int, int]:
        """The more fields the better; then the more records, and the less nested."""
        return len(self.guess.lines), len(self.records), -len(self.path)


def sniff(location: str, presets: Mapping[str, XMLSettings]) -> Proposal:
    """Examine the beginning of a file; blocks.

    Args:
        location: A path or an address.
        presets: Settings of presets, by name. A file with such records and enough of
            the fields gets this preset as the proposal.

    Raises:
        MisconfiguredError: It cannot be read, or has no elements that could be
            products.
        TransientError: It cannot be read now.
        MissingExtraError: The extra `files` is not installed.
    """
    check_installed("examining XML", ("fsspec", "lxml", "zstandard"))
    file = find_file(location)
    with file.open(most=1 << 62) as stream:
        found = _elements(stream, file.place)
    facts = [f"{file.place}: XML, {'/'.join(next(iter(found), ('',))[:1])}"]
    if (preset := _preset(found, presets)) is not None:
        name, count = preset
        facts.append(f"it looks like {name}: {count} of its fields are there")
        return Proposal(facts=tuple(facts), questions=(), preset=name)
    candidates = [
        _Candidate(path, rows, _guessed(rows)) for path, rows in found.items()
    ]
    usable = [each for each in candidates if not each.guess.missing]
    if not usable:
        names = dict.fromkeys("/".join(path) for path in found)
        problem = f"no elements look like products; there are {', '.join(names)}"
        raise MisconfiguredError("records", f"{file.place}: {problem}")
    best = max(usable, key=lambda each: each.score)
    for record in best.records:
        check_data(file.place, best.path[-1], record)
    records = "/" + "/".join(best.path)
    some = (
        f"at least {len(best.records)}"
        if len(best.records) == _SAMPLE
        else len(best.records)
    )
    facts.append(f"records: {some} elements at {records}")
    return Proposal(
        type="xml",
        facts=(*facts, *best.guess.facts),
        questions=tuple(best.guess.questions),
        settings=(f"records = {json.dumps(records, ensure_ascii=False)}",),
        map=tuple(best.guess.lines),
    )


def _guessed(records: Sequence[Mapping[str, object]]) -> Guess:
    return guess(paths_of(records), records)


def _elements(stream: IO[bytes], place: str) -> _Found:
    """Elements with several parts at the beginning of a file, by their path."""
    etree: Any = import_module("lxml.etree")
    parser = pull_parser()
    found: _Found = {}
    read, stack, names = 0, list[str](), Names({})
    try:
        while read < _READ and (chunk := stream.read(_CHUNK)):
            parser.feed(chunk)
            read += len(chunk)
            for element in _ended(parser, stack, names):
                _keep(found, tuple(stack), element, names)
    except etree.XMLSyntaxError as error:
        raise damaged(place, error) from None
    if not stack and not found:
        raise MisconfiguredError("location", f"{place} has no elements with values")
    return found


def _ended(parser: Any, stack: list[str], names: Names) -> Iterator[Element]:
    """The elements that end, each while its path is on the stack."""
    for event, element in parser.read_events():
        if event == "start":
            stack.append(names.of(element))
            continue
        yield element
        stack.pop()


def _keep(found: _Found, path: tuple[str, ...], element: Element, names: Names) -> None:
    parts = len(element) + len(element.attrib)
    if not 1 < len(path) <= _DEEPEST or parts < _FIELDS:
        return
    if path not in found and len(found) >= _MOST_PATHS:
        return
    records = found.setdefault(path, [])
    if len(records) < _SAMPLE:
        try:
            records.append(values_of(element, names))
        except InvalidValueError:
            return


def _preset(
    found: _Found, presets: Mapping[str, XMLSettings]
) -> tuple[str, int] | None:
    """The preset with the most fields in its records; None: there is none."""
    counts = {
        name: max(
            (_filled(settings.map, rows) for rows in _of(found, settings)), default=0
        )
        for name, settings in presets.items()
    }
    name = max(counts, key=lambda name: counts[name], default="")
    return (name, counts[name]) if name and counts[name] >= _TELLING else None


def _of(
    found: _Found, settings: XMLSettings
) -> Iterator[Sequence[Mapping[str, object]]]:
    paths = [Path.parse(text) for text in settings.records]
    for path, rows in found.items():
        if any(each.matches(path) for each in paths):
            yield rows


def _filled(mapping: RecordMapping, rows: Sequence[Mapping[str, object]]) -> int:
    """How many fields of a map any of these records has."""
    return sum(
        any(_has(spec.find, row) for row in rows) for _, spec in mapping.expressions()
    )


def _has(find: Any, row: Mapping[str, object]) -> bool:
    try:
        return find(row) is not None
    except InvalidValueError:
        return False
