"""Strict conversion of TOML values to settings: text is not accepted as a number.

Values from the environment are the exception: TOML has them as text, and they are
parsed as the number or the boolean that the setting needs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence, Set as AbstractSet
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
from cattrs import Converter, IterableValidationError

from catalogsync._lib.redact import check_secret
from catalogsync.engine import Options
from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.integrations.inform import Receiver
from catalogsync.integrations.notify import Webhook

from ._environment import Expanded
from ._problems import Problem, ProblemsError, did_you_mean
from ._secrets import is_secret

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]

_EXPECTED: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
_BOOLS = {"true": True, "false": False}
_ONLY_IN_PYTHON: Mapping[type, frozenset[str]] = {
    Options: frozenset({"transform", "keys", "only"}),
    Receiver: frozenset({"session"}),
    Webhook: frozenset({"session"}),
}
_HIDDEN = "is not accepted (the value is not shown)"


def make_converter() -> Converter:
    """A converter that accepts only values of the declared types."""
    converter = Converter(detailed_validation=True)
    for kind in (str, bool, int, float):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(Path, lambda value, _: Path(_text(value)))
    converter.register_structure_hook_func(_is_choice, _choose)
    converter.register_structure_hook_func(
        _is_union, lambda value, kind: _one_of(converter, value, kind)
    )

    def class_hook(cls: type[Any]) -> Hook:
        return _ClassReader(cls=cls, converter=converter).read

    converter.register_structure_hook_factory(attrs.has, class_hook)
    return converter


def read_settings(converter: Converter, table: object, cls: type[T]) -> T:
    """Turn a table into settings.

    Raises:
        ProblemsError: All problems, with paths relative to the table.
    """
    try:
        return converter.structure(table, cls)
    except Exception as error:  # noqa: BLE001 - reported with its path
        raise ProblemsError(_problems(error)) from None


def type_hints(cls: type) -> Mapping[str, Any]:
    """The types of a class's settings, with string annotations resolved."""
    return {field.name: field.type for field in attrs.fields(attrs.resolve_types(cls))}


def setting_name(field: attrs.Attribute[Any]) -> str:
    """The name of a setting in TOML: `from` is not possible in Python."""
    return str(field.metadata.get("name", field.alias))


def _strict(kind: type) -> Hook:
    def structure(value: Any, desired: Any) -> object:
        if _is_choice(desired):  # a `StrEnum` is a `str`, too
            return _choose(value, desired)
        if isinstance(value, Expanded) and kind is not str:
            return _parsed(kind, value)
        if kind is float and type(value) is int:
            return float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _wrong_type(kind, value)
        return kind(value)

    return structure


def _parsed(kind: type, text: Expanded) -> object:
    """The value of a text from the environment."""
    try:
        if kind is bool:
            return _BOOLS[text.strip().lower()]
        return kind(text)
    except (KeyError, ValueError):
        problem = f"must be {_EXPECTED[kind]}; the environment has another value"
        raise ProblemsError([Problem("", f"{problem} (not shown)")]) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(str, value)
    return str(value)


def _wrong_type(expected: type, value: Any) -> ProblemsError:
    kinds = (kind for kind in _EXPECTED if isinstance(value, kind))
    given = _EXPECTED.get(next(kinds, object), "a date or time")
    return ProblemsError([Problem("", f"must be {_EXPECTED[expected]}, not {given}")])


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal or (
        isinstance(kind, type) and issubclass(kind, enum.Enum)
    )


def _choose(value: object, kind: Any) -> object:
    members = get_args(kind) if get_origin(kind) is Literal else tuple(kind)
    for member in members:
        plain = member.value if isinstance(member, enum.Enum) else member
        if plain == value and type(value) in {type(plain), Expanded, str}:
            return member
    plain = [m.value if isinstance(m, enum.Enum) else m for m in members]
    names = ", ".join(f"`{each}`" for each in plain)
    raise ProblemsError([Problem("", f"must be one of {names}")])


def _is_union(kind: Any) -> bool:
    """Whether a type is a union of text, other scalars and lists, perhaps with None."""
    if get_origin(kind) not in {Union, UnionType}:
        return False
    kinds = [each for each in get_args(kind) if each is not type(None)]
    return len(kinds) > 1 and all(_toml_kind(each) is not None for each in kinds)


def _toml_kind(kind: Any) -> type | None:
    """The kind of TOML value for a scalar or a list; None: it is something else."""
    origin = get_origin(kind) or kind
    if origin in {str, bool, int, float}:
        return cast("type", origin)
    is_list = isinstance(origin, type) and issubclass(origin, Sequence)
    return list if is_list else None


def _one_of(converter: Converter, value: object, kind: Any) -> object:
    """The value as the type of a union that fits it."""
    kinds = {_toml_kind(each): each for each in get_args(kind) if _toml_kind(each)}
    for each in (bool, int, float, str, list):
        if each in kinds and isinstance(value, each):
            if each is int and isinstance(value, bool):
                continue
            return converter.structure(value, kinds[each])
    expected = " or ".join(_EXPECTED[each] for each in kinds if each is not None)
    hint = "; write it as text" if isinstance(value, float) else ""
    raise ProblemsError([Problem("", f"must be {expected}{hint}")])


@attrs.define(kw_only=True)
class _ClassReader:
    """Turns tables into objects of a settings class."""

    cls: type[Any]
    converter: Converter
    hints: Mapping[str, Any] = attrs.field(init=False)
    fields: Mapping[str, attrs.Attribute[Any]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.hints = type_hints(self.cls)
        python = _ONLY_IN_PYTHON.get(self.cls, frozenset[str]())
        self.fields = {
            setting_name(field): field
            for field in attrs.fields(self.cls)
            if field.init and field.name not in python
        }

    def read(self, value: Any, _: object) -> object:
        """The object.

        Raises:
            ProblemsError: All problems of the table.
        """
        from_text = getattr(self.cls, "from_text", None)
        if isinstance(value, str) and from_text is not None:
            return self._short(value, from_text)
        if not isinstance(value, Mapping):
            raise _wrong_type(dict, value)
        table = cast("Mapping[str, object]", value)
        problems = [
            Problem(name, did_you_mean(name, self.fields, "unknown key"))
            for name in table
            if name not in self.fields
        ]
        values = self._values(table, problems)
        if not problems:
            try:
                return self._made(values)
            except (ValueError, TypeError, MisconfiguredError) as error:
                problems = [_problem_of(error, self.fields)]
        secret = {name for name, field in self.fields.items() if is_secret(field)}
        # Numbers and booleans from the environment may be shown, unlike texts.
        plain = {n for n, v in values.items() if isinstance(v, int | float)} - secret
        texts = {n: v for n, v in table.items() if n not in plain}
        raise ProblemsError(_redacted(problems, texts, secret))

    def _made(self, values: Mapping[str, object]) -> object:
        """The object, from values by the names in TOML."""
        named = {str(self.fields[name].alias): v for name, v in values.items()}
        made: object = self.cls(**named)
        return made

    def _short(self, text: str, from_text: Callable[[str], object]) -> object:
        """The object whose short form is a text."""
        try:
            return from_text(str(text))
        except InvalidValueError as error:
            problem = Problem("", error.problem, quotes=True)
            raise ProblemsError(_redacted([problem], {"": text}, set())) from None

    def _values(
        self, table: Mapping[str, object], problems: list[Problem]
    ) -> dict[str, object]:
        values: dict[str, object] = {}
        for name, field in self.fields.items():
            if name not in table:
                if field.default is attrs.NOTHING:
                    problems.append(Problem(name, "is missing"))
                continue
            hint = self.hints[field.name]
            try:
                values[name] = _field(self.converter, table[name], hint)
                if is_secret(field) and isinstance(values[name], str):
                    check_secret(name, str(values[name]))
            except MisconfiguredError as error:
                problems.append(Problem(error.setting, error.problem))
            except Exception as error:  # noqa: BLE001 - reported with its path
                problems += [each.under(name) for each in _problems(error)]
        return values


def _field(converter: Converter, value: Any, hint: Any) -> object:
    for kind in _members(hint):
        origin = get_origin(kind) or kind
        if not isinstance(origin, type) or issubclass(origin, str):
            continue
        if issubclass(origin, Mapping) and not isinstance(value, dict):
            raise _wrong_type(dict, value)
        if issubclass(origin, Sequence | AbstractSet) and not isinstance(value, list):
            raise _wrong_type(list, value)
    return converter.structure(value, hint)


def _members(hint: Any) -> tuple[Any, ...]:
    """The type of a value, apart from None; nothing if there are several."""
    if get_origin(hint) not in {Union, UnionType}:
        return (hint,)
    kinds = tuple(kind for kind in get_args(hint) if kind is not type(None))
    return kinds if len(kinds) == 1 else ()


def _problems(error: Exception) -> Iterator[Problem]:
    """The problems in an error of the converter."""
    if isinstance(error, ProblemsError):
        yield from error.problems
    elif isinstance(error, IterableValidationError):
        noted, others = error.group_exceptions()
        for each, note in noted:
            place = f"[{note.index}]" if isinstance(note.index, int) else note.index
            yield from (problem.under(place) for problem in _problems(each))
        for each in others:
            yield from _problems(each)
    else:
        yield Problem("", f"cannot be read: {_words(error)}", quotes=True)


def _problem_of(error: Exception, fields: Mapping[str, Any]) -> Problem:
    """The problem in a class's own error, at the field that the message begins with."""
    if isinstance(error, MisconfiguredError):
        return Problem(error.setting, error.problem, quotes=True)
    if isinstance(error, InvalidValueError):
        return Problem(error.path, error.problem, quotes=True)
    words = _words(error)
    for name in fields:
        for start in (f"{name} ", f"'{name}' ", f"{name}: "):
            if words.startswith(start):
                return Problem(name, words.removeprefix(start), quotes=True)
    return Problem("", words, quotes=True)


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and first else type(error).__name__


def _redacted(
    problems: Sequence[Problem], table: Mapping[str, object], secret: AbstractSet[str]
) -> Iterator[Problem]:
    """The problems, without messages that contain a secret."""
    hidden = {
        text
        for name, value in table.items()
        for text in _texts_in(value, secret=name in secret)
    }
    for problem in problems:
        leaks = problem.quotes and any(value in problem.text for value in hidden)
        yield Problem(problem.path, _HIDDEN) if leaks else problem


def _texts_in(value: object, *, secret: bool) -> Iterator[str]:
    """The texts in a value that no message may repeat."""
    match value:
        case str():
            if value and (secret or isinstance(value, Expanded)):
                yield str(value)
        case list():
            for item in cast("list[object]", value):
                yield from _texts_in(item, secret=secret)
        case dict():
            for item in cast("dict[str, object]", value).values():
                yield from _texts_in(item, secret=secret)
        case _:
            if secret:
                yield str(value)
