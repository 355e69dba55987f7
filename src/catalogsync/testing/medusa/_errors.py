"""Medusa's error answers."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Row: TypeAlias = dict[str, Any]
"""An entity as it is stored and sent: columns and related rows."""

ErrorType: TypeAlias = Literal[
    "invalid_data", "not_found", "not_allowed", "unauthorized", "invalid_argument"
]

_STATUS: dict[ErrorType, int] = {
    "invalid_data": 400,
    "not_allowed": 400,
    "unauthorized": 401,
    "not_found": 404,
    "invalid_argument": 500,
}


class MedusaError(Exception):
    """An error answer; all changes of the request are undone."""

    def __init__(self, status: int, body: Row | None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def refusal(kind: ErrorType, message: str) -> MedusaError:
    """The answer to a request that Medusa understands but refuses."""
    return MedusaError(_STATUS[kind], {"type": kind, "message": message})


def invalid(message: str) -> MedusaError:
    """The most common refusal."""
    return refusal("invalid_data", message)


def exists(name: str, value: object) -> MedusaError:
    """Refuse a second row with the same unique value of, say, ``Product.handle``."""
    what, column = name.split(".")
    # Medusa splits PostgreSQL's message at its commas.
    named = str(value).partition(",")[0].strip()
    return invalid(f"{what} with {column}: {named}, already exists.")


def no_relative(column: str, value: str) -> MedusaError:
    """Refuse a reference to a row that does not exist."""
    message = (
        f"You tried to set relationship {column}: {value}, but such entity does"
        " not exist"
    )
    return refusal("not_found", message)


def unknown_error() -> MedusaError:
    """The answer to a request that makes Medusa fail."""
    body = {
        "code": "unknown_error",
        "type": "unknown_error",
        "message": "An unknown error occurred.",
    }
    return MedusaError(500, body)


def unauthorized() -> MedusaError:
    """The answer to a request without a valid key or token."""
    return MedusaError(401, {"message": "Unauthorized"})


def too_large() -> MedusaError:
    """The answer to a body that is larger than its route allows."""
    body = {"message": "request entity too large", "type": "unknown_error"}
    return MedusaError(413, body)
