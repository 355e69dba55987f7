"""Whatever a server answers for a while: reports are complete, nothing is duplicated."""

from __future__ import annotations

from hypothesis import given, settings
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up

from .replies import RepliesCase, play_sink, play_source, sink_cases, source_cases


@settings(max_examples=300)
@given(source_cases())
def test_any_answers_of_a_source(case: RepliesCase) -> None:
    assert not play_source(case).problems


@settings(max_examples=200)
@given(sink_cases())
def test_any_answers_of_a_store(case: RepliesCase) -> None:
    assert not play_sink(case).problems
