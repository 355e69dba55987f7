"""Uploaded files, as Medusa's local file storage keeps them."""

from __future__ import annotations

import mimetypes

from aiohttp import BodyPartReader, web

from ._errors import Row, invalid, unknown_error
from ._routes import Api, Call, deleted
from ._state import State
from ._web import answer

_PUBLIC = "http://localhost:9000/static"
"""Medusa's own default, whatever address it has."""


def add_uploads(api: Api, state: State) -> None:
    """Register the routes for files; shoppers read them at `/static`."""

    async def upload(request: web.Request) -> web.Response:
        return answer({"files": await _stored(request, state)})

    def delete(call: Call) -> Row:
        """An unknown id is not an error."""
        state.files.pop(call.id, None)
        return deleted(call.id, "file")

    async def read(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in state.files:
            raise web.HTTPNotFound
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return web.Response(body=state.files[name], content_type=kind)

    api.router.add_post("/admin/uploads", upload)
    api.delete("/admin/uploads/{id}", delete)
    api.router.add_get("/static/{name}", read)


async def _stored(request: web.Request, state: State) -> list[Row]:
    """Store files; nothing is checked, and each gets a new name."""
    files: list[Row] = []
    if request.content_type.startswith("multipart/"):
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name != "files":
                raise unknown_error()
            name = f"{state.ids.milliseconds()}-{part.filename}"
            state.files[name] = bytes(await part.read())
            files.append({"id": name, "url": f"{_PUBLIC}/{name}"})
    if not files:
        raise invalid("No files were uploaded")
    return files
