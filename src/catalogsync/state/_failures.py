"""Database errors as messages that say what to do."""

from __future__ import annotations

from collections.abc import Mapping

from .protocols import StateError

__all__ = ["explain"]


def explain(where: str, code: str, words: str, known: Mapping[str, str]) -> StateError:
    """The error for a failure of the database.

    Args:
        where: Address of the store, without a password.
        code: Error code of the database.
        words: Error message of the database.
        known: What is wrong and what to do, by the beginning of the code; the first
            match counts.
    """
    problem = next((p for start, p in known.items() if code.startswith(start)), "fails")
    message = " ".join(words.split())
    return StateError(f"the state store {where} {problem} ({message})")
