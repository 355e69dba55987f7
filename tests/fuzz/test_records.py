"""Any record of a source is reported and affects no other."""

from __future__ import annotations

from hypothesis import given, settings
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up

from .records import RecordsCase, play_records, records_cases


@settings(max_examples=300)
@given(records_cases())
def test_any_records(case: RecordsCase) -> None:
    assert not play_records(case).problems
