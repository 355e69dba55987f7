"""Where each value of a product in the store comes from, for `explain`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Change, Create, Existing, Update
from catalogsync.catalog.outcomes import OutcomeStatus
from catalogsync.catalog.products import VARIANT_FIELDS, Field, Json, Product
from catalogsync.diff.describe import diff
from catalogsync.diff.ownership import ManualEdit, Owner, Rules
from catalogsync.mapping import RecordMapping, rules_of
from catalogsync.state.protocols import HistoryEntry

from ._output import shortened

__all__ = ["Origins", "when"]

_SHORT = 100
_RULE = 300
_WHOLE = 100_000
_ALL = frozenset(Field)
_VARIANTS = "variants."
_OF_VARIANTS = {
    **{name: field for field, name in VARIANT_FIELDS.items()},
    "options": Field.OPTIONS,
}
_WRITTEN = frozenset({OutcomeStatus.CREATED, OutcomeStatus.UPDATED})


def when(at: float) -> str:
    """A time for people, in seconds since the epoch."""
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


@attrs.frozen(kw_only=True)
class Origins:
    """What is known about the values of a product.

    Attributes:
        existing: The product in the sink.
        desired: The product of the source; None: the source does not have it.
        mapping: The mapping of the source; None: the source is code.
        owns: When the source decides on a field.
        changes: What the next run would do.
        edits: Manual edits that the next run would find.
        history: Outcomes of the product, newest first.
        whole: Whether long values are shown whole.
    """

    existing: Existing
    desired: Product | None
    mapping: RecordMapping | None
    owns: Mapping[Field, Owner]
    changes: Sequence[Change]
    edits: Iterable[ManualEdit]
    history: Sequence[HistoryEntry]
    whole: bool = False

    def lines(self) -> Iterator[str]:
        """Two lines for each value: the value, and where it comes from."""
        most = _WHOLE if self.whole else _SHORT
        supplied = _values(self.desired) if self.desired else {}
        for path, value in _values(self.existing.product).items():
            yield f"  {shortened(path, most)}: {_text(value, most)}"
            parts = [self._source(path, most, supplied=path in supplied)]
            field, _ = _field_of(path, self.existing.product)
            parts += [
                f"owner {self._owner(field)}",
                self._written(path, supplied=path in supplied),
            ]
            yield f"      {'; '.join(parts)}"

    def _source(self, path: str, most: int, *, supplied: bool) -> str:
        """Who the value is from, and what the source has if it differs."""
        edit = next((e for e in self.edits if e.diff.path == path), None)
        if edit is not None:
            what = "stays" if edit.kept else "is overwritten by the next run"
            return f"edited in the store, {what}; the source has {_text(edit.diff.new, most)}"
        new = self._planned.get(path)
        if new is not None:
            return f"the next run changes it to {_text(new, most)}{self._rule(path)}"
        if supplied:
            return f"from the source{self._rule(path)}"
        if any(path in entry.fields for entry in self.history):
            return "written by an earlier run; the source does not supply it now"
        return "not from the source: a default, or added in the store or by another job"

    @property
    def _planned(self) -> Mapping[str, Json]:
        """New values by path."""
        updates = [change for change in self.changes if isinstance(change, Update)]
        return {item.path: item.new for change in updates for item in diff(change)}

    def _rule(self, path: str) -> str:
        if self.mapping is None:
            return ""
        field, name = _field_of(path, self.existing.product)
        rules = rules_of(self.mapping, field, name)
        if not rules:
            return ""
        text = ", ".join(f"`{rule}`" for rule in rules)
        rate = self.mapping.rate(name) if field is Field.PRICES else None
        where = f" ({rate})" if rate else ""
        return f" by {shortened(text, _WHOLE if self.whole else _RULE)}{where}"

    def _owner(self, field: Field) -> str:
        rules = Rules(owns=self.owns)
        if rules.writes(field, creating=False):
            return Owner.ALWAYS.value
        creates = rules.writes(field, creating=True)
        return (Owner.ON_CREATE if creates else Owner.NEVER).value

    def _written(self, path: str, *, supplied: bool) -> str:
        """When the value was written last, and by which run."""
        for entry in self.history:
            status = entry.outcome.status
            is_whole = status is OutcomeStatus.CREATED and supplied
            if is_whole or (status in _WRITTEN and path in entry.fields):
                return f"written {when(entry.at)} by run {entry.run_id[:12]}"
        return "no recorded write"


def _values(product: Product) -> dict[str, Json]:
    """All values of a product by path, as changes name them."""
    whole = Create(product=product, fields=_ALL, last_applied="")
    return {item.path: item.new for item in diff(whole) if item.new is not None}


def _field_of(path: str, product: Product) -> tuple[Field, str]:
    """The field of a path, and the name after it: of an option or a currency."""
    if not path.startswith(_VARIANTS):
        field, _, name = path.partition(".")
        return Field(field), name
    rest = path.removeprefix(_VARIANTS)
    # Ids may contain dots, so the longest one that fits counts.
    ids = sorted((v.id for v in product.variants or ()), key=len, reverse=True)
    known = next((id_ for id_ in ids if rest.startswith(f"{id_}.")), "")
    attribute, _, name = rest.removeprefix(f"{known}.").partition(".")
    return _OF_VARIANTS[attribute], name


def _text(value: Json, most: int) -> str:
    if value is None:
        return "(none)"
    return shortened(json.dumps(value, ensure_ascii=False, default=str), most)
