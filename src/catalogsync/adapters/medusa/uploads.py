"""Storing images in Medusa's file storage."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import attrs

from catalogsync.catalog.images import FetchedImage, StoredImage
from catalogsync.errors import BrokenReplyError
from catalogsync.http import ImageFetcher

from .client import MedusaClient

__all__ = ["Uploads"]

_PATH = "/admin/uploads"


@attrs.frozen
class Uploads:
    """Fetches images and uploads them; an `ImageStorage`."""

    client: MedusaClient
    fetcher: ImageFetcher

    @property
    def at_once(self) -> int:
        """As the options say."""
        return self.fetcher.options.at_once

    async def changed(self, address: str, seen: StoredImage, /) -> bool:
        """Whether an address may have another image; reads no content."""
        return await self.fetcher.changed(address, seen)

    async def fetch(
        self, address: str, seen: StoredImage | None, /
    ) -> FetchedImage | None:
        """The image of an address; None: it has not changed."""
        return await self.fetcher.fetch(address, seen)

    async def upload(self, image: FetchedImage, /) -> StoredImage:
        """Upload an image; Medusa takes its type from the ending of its name."""
        reply = await self.client.post_form(_PATH, *_form(image))
        files: Any = reply.get("files")
        match files:
            case [{"id": str(id_), "url": str(url)}] if id_ and url:
                return StoredImage(url=url, file_id=id_, digest=image.digest)
            case _:
                raise BrokenReplyError(f"POST {_PATH}: no id and url of the file")


def _form(image: FetchedImage) -> tuple[bytes, str]:
    """The body of a form with one file, and its content type."""
    limit = uuid4().hex
    kind = {"jpg": "jpeg", "svg": "svg+xml"}.get(image.type, image.type)
    head = (
        f"--{limit}\r\n"
        'Content-Disposition: form-data; name="files";'
        f' filename="{image.digest}.{image.type}"\r\n'
        f"Content-Type: image/{kind}\r\n\r\n"
    )
    body = b"".join((head.encode(), image.content, f"\r\n--{limit}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={limit}"
