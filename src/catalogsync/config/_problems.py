"""What is wrong in a file: a path and a text each, collected before they are reported."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

import attrs

from catalogsync.errors import MisconfiguredError

__all__ = ["Problem", "ProblemsError", "did_you_mean", "joined", "misconfigured"]


@attrs.frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where, such as `jobs.products.sink.url`; empty: right here.
        text: What; never the value of a secret.
        quotes: Whether somebody else's words are among it, which may hold the value.
    """

    path: str
    text: str
    quotes: bool = False

    def under(self, parent: str) -> Problem:
        """The same problem, seen from one level further out."""
        return attrs.evolve(self, path=joined(parent, self.path))


class ProblemsError(Exception):
    """Several problems in one value; stays within this package.

    Attributes:
        problems: All of them.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = list(problems)


def joined(parent: str, path: str) -> str:
    """Put two parts of a path together."""
    joint = "" if not parent or not path or path.startswith("[") else "."
    return f"{parent}{joint}{path}"


def misconfigured(problems: Iterable[Problem]) -> MisconfiguredError:
    """One error for all problems, one line each; only the first of each path is reported."""
    texts: dict[str, str] = {}
    for problem in problems:
        texts.setdefault(problem.path, problem.text)
    (setting, text), *others = texts.items()
    lines = [text, *(f"{path}: {text}" for path, text in others)]
    return MisconfiguredError(setting, "\n".join(lines))


def did_you_mean(
    name: str, known: Collection[str], what: str, *, listed: bool = False
) -> str:
    """Say that nothing has this name, without repeating it.

    Args:
        name: What was given.
        known: What could have been given.
        what: Such as `unknown key`.
        listed: List what is known also where something is near.
    """
    nearest = difflib.get_close_matches(name, known, n=1)
    parts = [what, *(f"did you mean `{each}`?" for each in nearest)]
    if listed or not nearest:
        names = ", ".join(f"`{each}`" for each in sorted(known)) or "none"
        parts.append(f"known: {names}")
    return "; ".join(parts)
