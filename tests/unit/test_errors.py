from __future__ import annotations

import pytest

from catalogsync import (
    BatchRefusedError,
    BrokenReplyError,
    CatalogSyncError,
    ConflictError,
    MisconfiguredError,
    ProductKey,
    RefusedError,
    RunFailedError,
    TransientError,
    UnauthorizedError,
    errors,
)
from catalogsync.errors import MissingExtraError

KEY = ProductKey("shop", "1")


def test_every_error_has_one_base() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = [kind for kind in classes if issubclass(kind, Exception)]
    assert len(raised) == 12
    assert all(issubclass(kind, CatalogSyncError) for kind in raised)


def test_each_decision_is_a_class() -> None:
    assert issubclass(BrokenReplyError, TransientError)
    assert issubclass(ConflictError, TransientError)
    assert issubclass(BatchRefusedError, RefusedError)
    assert not issubclass(RefusedError, TransientError)
    assert not issubclass(UnauthorizedError, TransientError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(RunFailedError, CatalogSyncError)


def test_a_transient_error_says_how_to_retry() -> None:
    error = TransientError("busy", retry_after=3, unexplained=True)
    assert (str(error), error.retry_after, error.unexplained) == ("busy", 3, True)
    assert TransientError("busy").retry_after is None


def test_refused_keeps_the_words_of_the_other_side() -> None:
    error = BatchRefusedError("no", said="Handle exists", culprits={KEY: "bad"})
    assert (error.reason, error.said) == ("no", "Handle exists")
    assert error.culprits == {KEY: "bad"}
    assert BatchRefusedError("no").culprits == {}


def test_misconfigured_names_the_setting() -> None:
    error = MisconfiguredError("sales_channel", "there is none")
    assert str(error) == "sales_channel: there is none"
    assert (error.setting, error.problem) == ("sales_channel", "there is none")


def test_missing_extra_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"pip install 'catalogsync\[sql\]'"):
        raise MissingExtraError("the SQL sink", "sql")
