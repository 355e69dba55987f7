"""The command `sniff`: examines a file and proposes a configuration."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from catalogsync.adapters import json_api, table, xml
from catalogsync.config import from_preset, load_config, presets
from catalogsync.errors import MisconfiguredError
from catalogsync.files import find_file, shown
from catalogsync.mapping import Proposal

from ._preview import preview_job
from ._session import Session

__all__ = ["sniff_file"]

_SHOWN = 2
_BEGINNING = 1000
_LARGEST = 8_000_000_000
_API = re.compile(r"https?://[^?#]*?(?<!\.jsonl)(?<!\.json)(?<!\.gz)(?:[?#]|$)")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_XML = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<")


def sniff_file(session: Session, location: str, out: Path | None) -> int:
    """Print or write what `sniff` proposes, and a preview; returns the exit status."""
    if out is not None and out.exists():
        raise MisconfiguredError("--out", f"{out} exists already")
    proposal = _proposal(location)
    job = _job_name(location)
    text = proposal.toml(job, location)
    for line in (*proposal.facts, *(f"? {each}" for each in proposal.questions)):
        session.terminal.out(line)
    session.terminal.out("")
    if out is None:
        session.terminal.out(text)
    else:
        out.write_text(text, encoding="utf-8")
        session.terminal.out(f"wrote {out}; next: catalogsync check {job}\n")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalogsync.toml"
        file.write_text(text, encoding="utf-8")
        proposed = load_config(file, only=job).job(job)
        preview_job(session, proposed, (), _SHOWN)
    return 0


def _proposal(location: str) -> Proposal:
    with find_file(location).open(most=_LARGEST) as stream:
        beginning = stream.read(_BEGINNING)
    given = {"location": "", "name": "sniff"}
    if _XML.match(beginning):
        feeds = {name: from_preset(name, given) for name in presets("xml")}
        return xml.sniff(location, feeds)
    if _API.match(location) and _JSON.match(beginning):
        found = asyncio.run(json_api.sniff(location))
        if found is not None:
            return found
    maps = {name: from_preset(name, given).map for name in presets("table")}
    return table.sniff(location, maps)


def _job_name(location: str) -> str:
    """A name for the job, from that of the file."""
    stem = shown(location).rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "shop"
