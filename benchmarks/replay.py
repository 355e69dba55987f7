"""The floor: the same requests, serialised beforehand, with bare aiohttp.

Each is sent as soon as as many requests were answered as in the recorded run, so
as many are in flight as there. Answers are read; only those that tell an id that a
later request needs are parsed, and the time that this takes is left out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
from yarl import URL

from catalogsync._lib.strict_json import loads

from .record import MARK, named_ids

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Send what the file *tape* holds."""
    async with aiohttp.ClientSession() as session:
        player = _Player(session)
        await player.play(Path(job["tape"]))
    return {"requests": player.answered, "left_out": player.left_out}


@attrs.define
class _Player:
    session: aiohttp.ClientSession
    answered: int = 0
    left_out: float = 0.0
    _token: str = ""
    _ids: dict[int, bytes] = attrs.field(factory=dict[int, bytes])
    _turn: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    async def play(self, tape: Path) -> None:
        async with asyncio.TaskGroup() as group:
            for head, url, body in _requests(tape):
                await self._wait(head["after"], [*url[1::2], *body[1::2]])
                group.create_task(self._send(head, self._put(url), self._put(body)))

    async def _wait(self, after: int, marks: list[bytes]) -> None:
        """Wait for the turn, and for the ids that stand for these marks."""
        needed = {int(mark) for mark in marks}
        async with self._turn:
            await self._turn.wait_for(
                lambda: self.answered >= after and needed <= self._ids.keys()
            )

    def _put(self, pieces: list[bytes]) -> bytes:
        """A text with the store's ids; every second piece is a mark."""
        for place in range(1, len(pieces), 2):
            pieces[place] = self._ids[int(pieces[place])]
        return b"".join(pieces)

    async def _send(self, head: dict[str, Any], url: bytes, body: bytes) -> None:
        headers = dict(_JSON)
        if head["login"]:
            headers["Authorization"] = f"Bearer {self._token}"
        async with self.session.request(
            head["method"],
            URL(url.decode(), encoded=True),
            data=body or None,
            headers=headers,
        ) as response:
            reply = await response.read()
            assert response.status == 200, reply
        if head["url"].endswith("/auth/user/emailpass"):
            self._token = loads(reply)["token"]
        if head["told"]:
            self._learn(head["told"], reply)
        async with self._turn:
            self.answered += 1
            self._turn.notify_all()

    def _learn(self, told: dict[str, int], reply: bytes) -> None:
        started = time.process_time()
        found = dict(named_ids(loads(reply)))
        for label, number in told.items():
            self._ids[number] = found[label].encode()
        self.left_out += time.process_time() - started


def _requests(
    tape: Path,
) -> Iterator[tuple[dict[str, Any], list[bytes], list[bytes]]]:
    with tape.open("rb") as file:
        while line := file.readline():
            head = json.loads(line)
            body = file.read(head["size"])
            yield head, head["url"].encode().split(MARK), body.split(MARK)
