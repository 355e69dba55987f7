"""A proposed configuration."""

from __future__ import annotations

import json

import attrs

__all__ = ["Proposal"]


@attrs.frozen(kw_only=True)
class Proposal:
    """What was found in a file or an answer, and settings for it.

    Attributes:
        facts: What was found, and why.
        questions: What only a person can know; without the answers, the proposed
            settings leave it out.
        place: The setting that says where the products are.
        type: Type of the source; empty: that of the preset.
        settings: Lines of further settings of the source, in TOML.
        map: The lines of the proposed map, in TOML.
        preset: Name of the preset that makes the map; None: there is none.
    """

    facts: tuple[str, ...]
    questions: tuple[str, ...]
    place: str = "location"
    type: str = ""
    settings: tuple[str, ...] = ()
    map: tuple[str, ...] = ()
    preset: str | None = None

    def toml(self, job: str, location: str) -> str:
        """A configuration with the proposal, for a SQLite file.

        Args:
            job: Name of the job and of the source.
            location: The file, or the address of the API.
        """
        asked = [f"# {question}" for question in self.questions]
        lines = [
            f"[jobs.{job}.source]",
            f"preset = {_text(self.preset)}"
            if self.preset
            else f'type = "{self.type}"',
            f"name = {_text(job)}",
            f"{self.place} = {_text(location)}",
            *self.settings,
            "",
            f"[jobs.{job}.source.map]",
            *self.map,
            *asked,
            "",
            f"[jobs.{job}.sink]",
            'type = "sql"',
            'url = "sqlite:///catalog.db"',
        ]
        return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
