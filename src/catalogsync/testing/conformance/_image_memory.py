"""The promises of state stores: uploaded images."""

from __future__ import annotations

import attrs

from catalogsync.state.images import HasImages, ImageMemory, StoredImage

from ._promise import NotApplicableError, Promise, promise, same
from ._state_kit import StateKit

IMAGES: list[Promise[StateKit]] = []

_A, _B = "https://pim.example/a.png?key=1", f"https://pim.example/{'b' * 9000}"


def _memory(kit: StateKit) -> ImageMemory:
    if not isinstance(kit.store, HasImages):
        raise NotApplicableError("it does not remember uploaded images")
    return kit.store.images


def _stored(name: str, **values: str) -> StoredImage:
    url = f"https://shop.example/{name}.png"
    image = StoredImage(url=url, file_id=f"f-{name}", digest=f"d-{name}")
    return attrs.evolve(image, **values)


@promise(IMAGES, mend="Keep one row for each endpoint and address, and replace it.")
async def images_by_address(kit: StateKit) -> None:
    """What is saved last about an address counts, by endpoint."""
    memory = _memory(kit)
    first = _stored("a", etag='W/"1"', modified="Mon, 30 Nov 2026 12:00:00 GMT")
    await memory.put_images(kit.shop, {_A: first, _B: first})
    await memory.put_images(kit.shop, {_B: _stored("b")})
    await memory.put_images("elsewhere", {_A: _stored("c")})
    found = await memory.images(kit.shop, [_A, _B, "https://pim.example/a.png"])
    same(dict(found), {_A: first, _B: _stored("b")}, "images")
    same(dict(await memory.images(kit.shop, [])), {}, "images of no address")
    found = await memory.images("elsewhere", [_A, _B])
    same(dict(found), {_A: _stored("c")}, "images elsewhere")


@promise(IMAGES, mend="Look for the digest, by endpoint, and leave out the conditions.")
async def images_by_content(kit: StateKit) -> None:
    """An uploaded file is found by its content, without what its address said."""
    memory = _memory(kit)
    await memory.put_images(kit.shop, {_A: _stored("a", etag='"1"')})
    same(await memory.image_with(kit.shop, "d-a"), _stored("a"), "the image")
    same(await memory.image_with(kit.shop, "d-b"), None, "another content")
    same(await memory.image_with("elsewhere", "d-a"), None, "the image elsewhere")


@promise(IMAGES, mend="In `trim`, keep the row of the file's own address.")
async def trim_keeps_files(kit: StateKit) -> None:
    """`trim` forgets addresses that nobody asked for, but no uploaded file."""
    memory, image = _memory(kit), _stored("a", etag='"1"')
    await memory.put_images(kit.shop, {_A: image, image.url: _stored("a")})
    await kit.store.trim(days=1, runs=1)
    same({*await memory.images(kit.shop, [_A])}, {_A}, "a new address")
    await kit.store.trim(days=0, runs=1)
    same(dict(await memory.images(kit.shop, [_A])), {}, "an old address")
    found = await memory.images(kit.shop, [image.url])
    same(dict(found), {image.url: _stored("a")}, "the file's own address")
    same(await memory.image_with(kit.shop, "d-a"), _stored("a"), "its content")
