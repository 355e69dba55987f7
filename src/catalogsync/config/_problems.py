"""Problems in a configuration, collected so that one error reports all of them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

import attrs

from catalogsync.errors import MisconfiguredError


@attrs.frozen
class Problem:
    """One problem.

    Attributes:
        path: Path of the value, such as `jobs.products.sink.url`; empty: the value
            being read.
        text: What is wrong, without secrets.
        quotes: Whether the text quotes an error that may contain the value.
    """

    path: str
    text: str
    quotes: bool = False

    def under(self, parent: str) -> Problem:
        """The same problem, with the path continued from *parent*."""
        return attrs.evolve(self, path=joined(parent, self.path))


class ProblemsError(Exception):
    """The problems of one value; only used within this package."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = list(problems)


def joined(parent: str, path: str) -> str:
    """Two parts of a path as one, such as `jobs.products` or `tags[0]`."""
    joint = "" if not parent or not path or path.startswith("[") else "."
    return f"{parent}{joint}{path}"


def misconfigured(problems: Iterable[Problem]) -> MisconfiguredError:
    """One error for all problems: a line for the first problem of each path."""
    texts: dict[str, str] = {}
    for problem in problems:
        texts.setdefault(problem.path, problem.text)
    (setting, text), *others = texts.items()
    lines = [text, *(f"{path}: {text}" for path, text in others)]
    return MisconfiguredError(setting, "\n".join(lines))


def did_you_mean(
    name: str, known: Collection[str], what: str, *, listed: bool = False
) -> str:
    """A message about an unknown name, which may be a secret and is not repeated.

    Args:
        name: The unknown name.
        known: The valid names.
        what: Start of the message, such as `unknown key`.
        listed: List the valid names even if one of them is similar.
    """
    nearest = difflib.get_close_matches(name, known, n=1)
    parts = [what, *(f"did you mean `{each}`?" for each in nearest)]
    if listed or not nearest:
        names = ", ".join(f"`{each}`" for each in sorted(known)) or "none"
        parts.append(f"known: {names}")
    return "; ".join(parts)
