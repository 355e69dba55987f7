"""Expressions: where the value of a field comes from, and what is done to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeAlias, cast

import attrs

from catalogsync.errors import InvalidValueError

from ._functions import load_function
from ._html import Html, sanitized, stripped
from ._numbers import DecimalMark, check_currency, check_unit
from ._paths import Lookup, all_of, as_text, first_of, is_column, starred, template
from ._record import Record, is_empty

__all__ = ["Constant", "Empty", "Expression"]

Constant: TypeAlias = str | int | bool
Empty: TypeAlias = Literal["keep", "clear", "repeat"]
Step: TypeAlias = Callable[[str], object]

_IN_HEADER = "*"
_ESCAPES = {"\\n": "\n", "\\r": "", "\\t": "\t", "\\\\": "\\"}
_ESCAPED = re.compile(r"\\[nrt\\]")


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _folded(words: Mapping[str, Constant]) -> dict[str, Constant]:
    return {word.strip().casefold(): value for word, value in words.items()}


def _not_empty(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    texts = cast("tuple[str, ...]", value) if isinstance(value, tuple) else (value,)
    if "" in texts or not texts:
        name = attribute.metadata.get("name", attribute.name)
        raise InvalidValueError(name, "must not be empty")


def _divisor(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if value < 1:
        raise InvalidValueError(attribute.name, f"must be 1 or more, is {value}")


def _currency(_: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None:
        try:
            check_currency(value)
        except InvalidValueError as error:
            raise error.under(attribute.name) from None


def _unit(value: str | None) -> str | None:
    if value is None or value == _IN_HEADER:
        return value
    try:
        return check_unit(value)
    except InvalidValueError as error:
        raise error.under("unit") from None


@attrs.frozen(kw_only=True)
class Expression:
    """Where a value comes from, and what is done to it. In TOML, text is short for `from`.

    White space around texts is removed, and what is empty then counts as missing. The
    steps are taken in this order: the value itself, `split`, `escapes`, `match`,
    `blank`, `words`, `html`, `lookup` or `template`, `join`, `default`.

    Attributes:
        from_: A column or a JMESPath; several: the first that is not empty. In the name
            of a column, as in `Weight (*)`, `*` stands for any text. In TOML, `from`.
        all: Columns or paths whose values together are a list; `*` in the name of a
            column stands for any text.
        template: Text with `{column}` and `{path}`; missing if one of them is. With
            `from` or `all`, `{value}` is the value, or each value of a list.
        value: A constant.
        python: `module:function`, which receives the values of the record and returns
            the value. If it raises, the product is rejected.
        split: Text that separates the items of a list; with `all`, in each value.
        escapes: Whether a backslash and `n`, `r` or `t` stand for a control character.
        match: Regular expression; its first group, or else all of the match, is the
            value. No match: missing.
        blank: Values that mean: missing, such as `0.0` or `n/a`.
        words: What words stand for, in upper or lower case, such as
            `{"in stock" = 10}`.
        html: Keep HTML, strip it, or sanitise it.
        lookup: Name of a table in the record, in which the value is looked up; missing
            if the table does not have it.
        join: Text that joins a list to one text.
        default: The value if it is missing otherwise.
        empty: What a missing value does: `keep` leaves the field as it is in the sink,
            `clear` empties it, `repeat` takes the value of the record above; only for
            `from` with names of columns, in files.
        unit: Unit of numbers without one, such as `kg` or `in`; `*`: what `*` stands
            for in the name of the column.
        decimal: The decimal mark; None: that of the mapping.
        currency: ISO 4217 code of amounts without one.
        divide_by: What an amount is divided by; 100 for prices in cents.
    """

    from_: str | tuple[str, ...] | None = attrs.field(
        default=None,
        alias="from_",
        metadata={"name": "from"},
        converter=attrs.converters.optional(_names),
        validator=_not_empty,
    )
    all: str | tuple[str, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_names), validator=_not_empty
    )
    template: str | None = attrs.field(default=None, validator=_not_empty)
    value: Constant | None = None
    python: str | None = None
    split: str | None = attrs.field(default=None, validator=_not_empty)
    escapes: bool = False
    match: str | None = None
    blank: tuple[str, ...] = ()
    words: Mapping[str, Constant] = attrs.field(
        factory=dict[str, Constant], converter=_folded
    )
    html: Html = "keep"
    lookup: str | None = None
    join: str | None = None
    default: Constant | None = None
    empty: Empty = "keep"
    unit: str | None = attrs.field(default=None, converter=_unit)
    decimal: DecimalMark | None = None
    currency: str | None = attrs.field(default=None, validator=_currency)
    divide_by: int = attrs.field(default=1, validator=_divisor)
    _find: Lookup = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(
            lambda self: _complete(cast("Expression", self)), takes_self=True
        ),
    )

    @classmethod
    def from_text(cls, text: str) -> Expression:
        """The short form: a column or a path.

        Raises:
            InvalidValueError: The text is empty.
        """
        return cls(from_=text)

    @property
    def find(self) -> Lookup:
        """Finds the value in the values of a record, as `evaluate` does."""
        return self._find

    def evaluate(self, record: Record, /) -> object:
        """The value in a record; None: it is missing.

        Raises:
            InvalidValueError: A step cannot be taken.
        """
        return self._find(record.values)

    @property
    def unit_of_numbers(self) -> str | None:
        """The unit of numbers without one, or None if each has one."""
        return None if self.unit == _IN_HEADER else self.unit

    @property
    def clears(self) -> bool:
        """Whether a missing value empties the field."""
        return self.empty == "clear"

    @property
    def constant(self) -> bool:
        """Whether it is the same for each record."""
        return self.value is not None

    @property
    def column(self) -> str | None:
        """The column whose text it is, but for white space, or None if it is more."""
        names = _names(self.from_ or ())
        if len(names) != 1 or not is_column(names[0]):
            return None
        texts = (self.template, self.split, self.join)
        plain = all(each is None for each in texts) and not _per_text(self)
        return names[0] if plain else None

    @property
    def complex(self) -> bool:
        """Whether it may need any of the values, and not just those of `columns`."""
        wild = any("*" in name for name in self.columns)
        others = self.template or self.python or self.lookup
        return others is not None or wild

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns and paths that it needs, for checks; none of a template."""
        return (*_names(self.from_ or ()), *_names(self.all or ()))


def _complete(spec: Expression) -> Lookup:
    """All steps of an expression as one function."""
    _check_repeat(spec)
    find, steps = _found(spec), _per_text(spec)
    separator, joint, default = spec.split, spec.join, spec.default
    fill = _last_step(spec)
    if not steps and fill is None and separator is None and joint is None:
        names = _names(spec.from_ or ())
        if len(names) == 1 and is_column(names[0]):
            return _column(names[0], _simple(find, default), default)
        return _simple(find, default)

    last: list[tuple[object, object]] = [(None, None)]

    def full(values: Mapping[str, object]) -> object:
        found = find(values)
        before, result = last[0]  # rows of one product often repeat a text
        if fill is None and isinstance(found, str) and found == before:
            return result
        done = steps_taken(values, found)
        last[0] = (found, done)
        return done

    def steps_taken(values: Mapping[str, object], found: object) -> object:
        if separator is not None:
            found = _divided(found, separator)
        found = _each(found, steps, None if fill is None else partial(fill, values))
        if joint is not None and isinstance(found, list):
            found = joint.join(map(as_text, cast("list[object]", found)))
        return _or(found, default)

    return full


def _divided(found: object, separator: str) -> object:
    """The items of a text, or of each text in a list."""
    if isinstance(found, str):
        return found.split(separator)
    if not isinstance(found, list):
        return found
    items = cast("list[object]", found)
    parts = (i.split(separator) if isinstance(i, str) else [i] for i in items)
    return [part for each in parts for part in each]


def _column(name: str, simple: Lookup, default: object) -> Lookup:
    """A column as it is; most are texts."""

    def column(values: Mapping[str, object]) -> object:
        found = values.get(name)
        if type(found) is str:
            return found.strip() or default
        return simple(values)

    return column


def _last_step(
    spec: Expression,
) -> Callable[[Mapping[str, object], object], str | None] | None:
    """What is done to a value at the end, given all values of the record."""
    if spec.unit == _IN_HEADER:
        return _with_unit(spec)
    if spec.lookup is not None:
        return _looking_up(spec)
    if spec.template is None or not spec.columns:
        return None
    return template(spec.template)


def _looking_up(
    spec: Expression,
) -> Callable[[Mapping[str, object], object], str | None]:
    """Looks a value up in a table of the record."""
    name = spec.lookup or ""
    if spec.template is not None:
        raise InvalidValueError("lookup", "cannot be set with `template`")

    def look_up(values: Mapping[str, object], value: object) -> str | None:
        table = values.get(name)
        if not isinstance(table, Mapping):
            return None
        found = cast("Mapping[str, object]", table).get(as_text(value))
        return None if found is None else as_text(found)

    return look_up


def _with_unit(spec: Expression) -> Callable[[Mapping[str, object], object], str]:
    """Appends the unit in the header to a value."""
    name = "".join(_names(spec.from_ or ()))
    if "*" not in name or len(_names(spec.from_ or ())) != 1 or spec.template:
        problem = '"*" needs one column with `*` in its name, such as "Weight (*)"'
        raise InvalidValueError("unit", problem)
    find = starred(name)

    def with_unit(values: Mapping[str, object], value: object) -> str:
        found = find(values)
        return f"{as_text(value)} {found[1] if found else ''}"

    return with_unit


def _check_repeat(spec: Expression) -> None:
    wild = spec.from_ is None or any("*" in name for name in spec.columns)
    if spec.empty == "repeat" and wild:
        problem = "`repeat` needs `from` with the names of columns"
        raise InvalidValueError("empty", problem)


def _simple(find: Lookup, default: object) -> Lookup:
    """An expression without steps, as most are."""

    def simple(values: Mapping[str, object]) -> object:
        found = find(values)
        if isinstance(found, str):
            return found.strip() or default
        if found is None:
            return default
        if isinstance(found, list):
            return _or(_items(cast("list[object]", found), ()), default)
        return _or(found, default)

    return simple


def _or(found: object, default: object) -> object:
    return default if is_empty(found) else found


def _found(spec: Expression) -> Lookup:
    """What an expression begins with."""
    given = [
        name
        for name, value in (
            ("from", spec.from_),
            ("all", spec.all),
            ("value", spec.value),
            ("python", spec.python),
        )
        if value is not None
    ]
    if len(given) > 1:
        problem = f"`{given[0]}` and `{given[1]}` exclude each other"
        raise InvalidValueError("", problem)
    if not given and spec.template is None:
        problem = "needs `from`, `all`, `template`, `value` or `python`"
        raise InvalidValueError("", problem)
    if spec.from_ is not None:
        return first_of(_names(spec.from_))
    if spec.all is not None:
        return all_of(_names(spec.all))
    if spec.python is not None:
        return load_function(spec.python)
    if spec.value is None and spec.template is not None:
        fill = template(spec.template)
        return lambda values: fill(values, None)
    return lambda _: spec.value


def _per_text(spec: Expression) -> list[Step]:
    """The steps for each text, in order."""
    steps: list[Step] = []
    if spec.escapes:
        steps.append(_unescaped)
    if spec.match is not None:
        steps.append(_matching(spec.match))
    if spec.blank:
        blank = {text.strip().casefold() for text in spec.blank}
        steps.append(lambda text: None if text.casefold() in blank else text)
    if spec.words:
        words = spec.words
        steps.append(lambda text: words.get(text.casefold(), text))
    if spec.html == "strip":
        steps.append(stripped)
    if spec.html == "sanitize":
        steps.append(sanitized)
    return steps


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)


def _matching(text: str) -> Step:
    try:
        pattern = re.compile(text, re.DOTALL)
    except re.error as error:
        problem = f"is not a regular expression: {error}"
        raise InvalidValueError("match", problem) from None

    def search(text: str) -> object:
        found = pattern.search(text)
        return found and (found[1] if pattern.groups else found[0])

    return search


def _each(
    found: object, steps: Sequence[Step], last: Callable[[object], object] | None
) -> object:
    """The value after these steps; of a list, each item that is not missing then."""
    if isinstance(found, list):
        return _items(cast("list[object]", found), steps, last)
    done = _stepped(found, steps)
    return None if is_empty(done) else last(done) if last else done


def _items(
    found: list[object],
    steps: Sequence[Step],
    last: Callable[[object], object] | None = None,
) -> list[object] | None:
    items = (_each(item, steps, last) for item in found)
    return [item for item in items if not is_empty(item)] or None


def _stepped(found: object, steps: Sequence[Step]) -> object:
    """A value after these steps, which concern texts; numbers take them as texts."""
    if isinstance(found, bool) or not isinstance(found, str):
        if not steps or found is None or not isinstance(found, bool | int | Decimal):
            return found
        found = as_text(found)
    value: object = found.strip()
    for step in steps:
        if not isinstance(value, str) or not value:
            return value
        value = step(value.strip())
    return value.strip() if isinstance(value, str) else value
