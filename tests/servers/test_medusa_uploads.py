"""Uploaded files: the fake Medusa and a real one alike."""

from __future__ import annotations

from typing import Any

import aiohttp
from tests.conftest import Medusa
from tests.image_server import png

UPLOADS = "/admin/uploads"


def form(*files: tuple[str, bytes], field: str = "files") -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, content in files:
        data.add_field(field, content, filename=name, content_type="image/png")
    return data


async def upload(medusa: Medusa, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
    status, body = await medusa.ask("POST", UPLOADS, data=form(*files))
    assert status == 200, body
    assert set(body) == {"files"}
    found: list[dict[str, Any]] = body["files"]
    return found


async def read(medusa: Medusa, url: str) -> tuple[int, bytes, str]:
    """What shoppers get at the address of a file, whatever port the store has."""
    async with medusa.session.get(f"/static/{url.rpartition('/')[2]}") as answer:
        return answer.status, await answer.read(), answer.content_type


async def test_files_are_stored_and_deleted(medusa: Medusa) -> None:
    """Each under a name of its own that ends as before, whatever was there already."""
    contents = [("a.png", png("a")), ("b.png", png("b"))]
    files = await upload(medusa, *contents)
    again = await upload(medusa, contents[0])
    assert len({file["id"] for file in (*files, *again)}) == 3
    for file, (name, content) in zip(
        [*files, *again], contents + contents[:1], strict=True
    ):
        assert file["id"].endswith(f"-{name}")
        assert file["url"] == f"http://localhost:9000/static/{file['id']}"
        assert await read(medusa, file["url"]) == (200, content, "image/png")
    for file in (*files, *again):
        gone = {"id": file["id"], "object": "file", "deleted": True}
        answer = await medusa.ask("DELETE", f"{UPLOADS}/{file['id']}")
        assert answer == (200, gone)
        assert (await read(medusa, file["url"]))[0] == 404


async def test_an_unknown_file_is_deleted_too(medusa: Medusa) -> None:
    status, body = await medusa.ask("DELETE", f"{UPLOADS}/1-nothing.png")
    assert (status, body["deleted"]) == (200, True)


async def test_a_form_without_files_is_refused(medusa: Medusa) -> None:
    status, body = await medusa.ask("POST", UPLOADS, {})
    assert (status, body["type"]) == (400, "invalid_data")
    assert body["message"] == "No files were uploaded"
    wrong = form(("a.png", png("a")), field="file")
    assert (await medusa.ask("POST", UPLOADS, data=wrong))[0] == 500
