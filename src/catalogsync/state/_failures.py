"""What to tell when a database fails: one line that says what to do."""

from __future__ import annotations

from collections.abc import Mapping

from .protocols import StateError

__all__ = ["explain"]


def explain(where: str, code: str, words: str, known: Mapping[str, str]) -> StateError:
    """The error for what a database said.

    Args:
        where: Which store, without a password.
        code: The database's code.
        words: The database's own words.
        known: What is wrong and what to do, by the beginning of the code; the first
            that fits counts.
    """
    problem = next((p for start, p in known.items() if code.startswith(start)), "fails")
    said = " ".join(words.split())
    return StateError(f"the state store {where} {problem} ({said})")
