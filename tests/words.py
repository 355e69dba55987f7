"""Words that the project no longer uses, and how to find them."""

from __future__ import annotations

import re

_ABANDONED = r"""
    (?i: wanted | receipts? | retir(?:es?|ed|ing) | disown\w* | unsettled | wish(?:es)?
    | rehears\w* | run\ ?stores? | intakes? | surveys? | settlers? | tally | tallies
    | ledgers? | half[ -]?made | halfmade | anew | (?:meets?|met)\ its\ end
    | (?:bring|brings|brought)\ about | (?:is|are)\ told )
    | Ours | Strangers? | Ambiguous
    # "If there is none" and "none of them" are English; "a key is none" is not. The last
    # alternative is a test in a template.
    | (?<![Tt]here\ )(?:is|are)\ none(?!\ of\b|\ %})
"""
ALLOWED = {
    # The SQL sink's columns keep their name.
    "adapters/sql/_database.py": {"receipt"},
    "adapters/sql/_reading.py": {"receipt"},
    "adapters/sql/_references.py": {"receipt"},
    "adapters/sql/_tables.py": {"receipt"},
    # Migrations of what earlier versions wrote.
    "state/_schema.py": {"retired", "unsettled", "rehearsal"},
}


def abandoned_words(text: str) -> list[str]:
    """The abandoned words of a text, also those within names."""
    text = re.sub(r"(?<=[a-z\d])(?=[A-Z])|_|\s+#?", " ", text)
    pattern = re.compile(rf"\b(?:{_ABANDONED})\b", re.VERBOSE)
    return [found[0] for found in pattern.finditer(re.sub(" +", " ", text))]
