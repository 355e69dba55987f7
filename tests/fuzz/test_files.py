"""Damaged files of every format end in products, rejections, or words; see `files`."""

from __future__ import annotations

from hypothesis import given, settings
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up

from .files import FilesCase, files_cases, play_file


@settings(max_examples=150)
@given(files_cases())
def test_any_damage(case: FilesCase) -> None:
    assert not play_file(case).problems
