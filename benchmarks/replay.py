"""The floor: the same requests, serialised beforehand, with bare aiohttp.

Each is sent as soon as as many requests were answered as in the recorded run, so
as many are in flight as there. Answers are read; only those that tell an id that a
later request needs are parsed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import attrs

from .record import MARK, named_ids

try:
    from orjson import loads
except ImportError:
    from json import loads

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Send what the file *tape* holds."""
    login = json.dumps({"email": job["email"], "password": job["password"]}).encode()
    connector = aiohttp.TCPConnector(keepalive_timeout=4)
    async with aiohttp.ClientSession(connector=connector) as session:
        player = _Player(session, login)
        with Path(job["tape"]).open("rb") as tape:
            await player.play(tape)
    return {"products": job["products"], "requests": player.answered}


@attrs.define
class _Player:
    session: aiohttp.ClientSession
    login: bytes
    answered: int = 0
    _token: str = ""
    _ids: dict[int, asyncio.Future[bytes]] = attrs.field(factory=dict)
    _turn: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    async def play(self, tape: BinaryIO) -> None:
        async with asyncio.TaskGroup() as group:
            for head, body in _requests(tape):
                async with self._turn:
                    await self._turn.wait_for(lambda: self.answered >= head["after"])
                for number in head["told"].values():
                    self._ids[number] = asyncio.get_running_loop().create_future()
                group.create_task(self._send(head, body))

    async def _send(self, head: dict[str, Any], body: bytes) -> None:
        ...
