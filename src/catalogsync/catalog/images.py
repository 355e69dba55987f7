"""Images that a sink stores itself, instead of linking to their addresses."""

from __future__ import annotations

import attrs

__all__ = ["FetchedImage", "StoredImage"]


@attrs.frozen(kw_only=True)
class FetchedImage:
    """An image as its server sent it.

    Attributes:
        content: The image.
        digest: Digest of the content.
        type: Type of the content, as the ending of a file name, such as `png`.
        etag: The server's `ETag`; empty: it sent none.
        modified: The server's `Last-Modified`; empty: it sent none.
    """

    content: bytes = attrs.field(repr=False)
    digest: str
    type: str
    etag: str = ""
    modified: str = ""


@attrs.frozen(kw_only=True)
class StoredImage:
    """An image that was uploaded to a sink.

    Attributes:
        url: Address of the uploaded file.
        file_id: The sink's id of the file.
        digest: Digest of the content.
        etag: `ETag` of the address that it was fetched from; empty: it had none.
        modified: `Last-Modified` of that address; empty: it had none.
    """

    url: str
    file_id: str
    digest: str
    etag: str = ""
    modified: str = ""
