"""What a state store keeps to inform others of written products.

A write takes three steps to a message. Before it, the product is *unconfirmed*: its
write may happen, and a crash leaves it so. Once the write is known to have happened, the
product is *confirmed*. `pack` puts confirmed products into messages, one for each
receiver, and a message stays until its receiver accepts it or it is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

import attrs

from catalogsync._lib.texts import counted
from catalogsync.catalog.outcomes import WrittenProduct
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import MisconfiguredError

__all__ = ["GivenUp", "HasOutbox", "Message", "Outbox", "WrittenProduct", "outbox_of"]


@attrs.frozen(kw_only=True)
class Message:
    """A message that its receiver has not accepted yet.

    Attributes:
        id: Id of the message; each attempt to deliver it has the same.
        job: Name of the job that wrote the products.
        receiver: Name of the receiver.
        products: The written products, oldest first; one may occur several times.
        at: When it was packed, in seconds since the epoch.
        age: Seconds since then.
        attempts: Number of attempts so far.
        problem: Why the last attempt failed; empty: none has.
    """

    id: str
    job: str
    receiver: str
    products: tuple[WrittenProduct, ...]
    at: float
    age: float = attrs.field(default=0.0, eq=False)
    attempts: int = 0
    problem: str = ""


@attrs.frozen(kw_only=True)
class GivenUp:
    """Messages that a receiver did not accept in time.

    Attributes:
        receiver: Name of the receiver.
        messages: Number of messages.
        products: Number of products in them.
        problem: Why the last attempt failed.
    """

    receiver: str
    messages: int
    products: int
    problem: str

    def __str__(self) -> str:
        messages = counted(self.messages, "message")
        what = f"{messages} about {counted(self.products, 'product')}"
        return f"gave up informing {self.receiver} ({what}): {self.problem}"


class Outbox(Protocol):
    """Keeps written products until all receivers know of them.

    All methods raise `StateError` if the store cannot be used. Each is atomic and safe
    to call from several processes at the same time.
    """

    async def put_unconfirmed(
        self, job: str, endpoint: str, products: Sequence[WrittenProduct], /
    ) -> None:
        """Save products that are about to be written, in place of earlier ones."""
        ...

    async def unconfirmed(self, job: str, endpoint: str, /) -> Sequence[WrittenProduct]:
        """The products whose write is neither confirmed nor dropped."""
        ...

    async def drop_unconfirmed(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        """Delete products that were not written after all."""
        ...

    async def confirm(
        self, job: str, endpoint: str, products: Sequence[WrittenProduct], /
    ) -> None:
        """Save products whose write has happened; they are no longer unconfirmed."""
        ...

    async def pack(
        self, job: str, receivers: Collection[str], /, *, most: int, least: int = 1
    ) -> int:
        """Put confirmed products into messages, one for each receiver.

        Args:
            job: Name of the job.
            receivers: Names of the receivers.
            most: Largest number of products in a message.
            least: Leave the rest if it has fewer products.

        Returns:
            The number of new messages.
        """
        ...

    async def take(self, job: str, receiver: str, /, *, hold: float) -> Message | None:
        """The oldest message that is due; None: there is none.

        Args:
            job: Name of the job.
            receiver: Name of the receiver.
            hold: Seconds in which nobody else takes it.
        """
        ...

    async def postpone(self, id_: str, /, *, wait: float, problem: str) -> None:
        """Count a failed attempt; the message is due again after *wait* seconds."""
        ...

    async def delivered(self, id_: str, /) -> None:
        """Delete a message that its receiver accepted."""
        ...

    async def give_up(
        self,
        job: str,
        receiver: str,
        /,
        *,
        age: float,
        problem: str,
        only: str | None = None,
    ) -> int:
        """Give up the messages that were packed at least *age* seconds ago.

        Args:
            job: Name of the job.
            receiver: Name of the receiver.
            age: Seconds since they were packed.
            problem: Why, for people.
            only: Id of the only message to give up; None: all of that age.

        Returns:
            The number of these messages.
        """
        ...

    async def take_given_up(self, job: str, /) -> Sequence[GivenUp]:
        """The messages given up since the last call, by receiver."""
        ...

    async def messages(self, job: str, /) -> Sequence[Message]:
        """All messages of a job that are not given up, oldest first."""
        ...


@runtime_checkable
class HasOutbox(Protocol):
    """A state store with an outbox."""

    @property
    def outbox(self) -> Outbox:
        """The outbox."""
        ...


def outbox_of(store: object, receivers: Collection[str]) -> Outbox | None:
    """The outbox for these receivers; None: there are no receivers.

    Raises:
        MisconfiguredError: There is no state store, or it has no outbox.
    """
    if not receivers:
        return None
    if not isinstance(store, HasOutbox):
        problem = "is needed with an outbox, to inform others of written products"
        raise MisconfiguredError("state", problem)
    return store.outbox
