"""The one redactor, with every form in which a secret can leave."""

from __future__ import annotations

import html
import itertools
import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.security.raw_server import raw_server, reply

from catalogsync._lib.redact import Redactor, secrets_in_address
from catalogsync.errors import CatalogSyncError, MisconfiguredError
from catalogsync.integrations.notify import Apprise, Notice, Webhook

Encode = Callable[[str], str]

FORMS: dict[str, Encode] = {
    "plain": str,
    "percent": quote,
    "percent, all": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: quote(text, safe="").replace("%2F", "%2f"),
    "form": quote_plus,
    "json": lambda text: json.dumps(text)[1:-1],
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json, slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "repr": lambda text: repr(text)[1:-1],
    "ascii": lambda text: ascii(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "html": html.escape,
    "xml": lambda text: quoteattr(text)[1:-1],
    "references": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "latin-1": lambda text: text.encode().decode("latin-1"),
}
texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=4, max_size=12
)
AWKWARD = ["can\\ary", "\\\\'\"\\", "c/n ry&<>%+=", "cänarÿ €😀", "a\nb\tc\r", "++//=="]


def redacted(secret: str, text: str) -> str:
    redactor = Redactor()
    redactor.keep([secret])
    assert redactor.finds(text)
    return redactor.text(text)


names = st.sampled_from(sorted(FORMS))


def check(secret: str, text: str) -> None:
    """Nothing is left but backslashes in front of it."""
    left = redacted(secret, f"[{text}]")
    assert re.fullmatch(r"\[(?:\\|%(?:25)*5[Cc])*\*\*\*\]", left), (text, left)


@given(inner=names, outer=names, secret=texts)
@example(inner="ascii", outer="latin-1", secret="000\xc3")
@example(inner="plain", outer="repr of bytes", secret="000\xc3")
@settings(max_examples=300, deadline=None)
def test_any_secret_in_any_form_of_any_form(
    inner: str, outer: str, secret: str
) -> None:
    """Such as an answer in JSON that quotes an address, in a log that shows reprs."""
    check(secret, FORMS[outer](secret))
    if "latin-1" not in {inner, outer}:
        check(secret, FORMS[outer](FORMS[inner](secret)))


@pytest.mark.parametrize("secret", AWKWARD)
def test_awkward_secrets_in_every_form(secret: str) -> None:
    for inner, outer in itertools.product(FORMS, repeat=2):
        test_any_secret_in_any_form_of_any_form.hypothesis.inner_test(  # type: ignore[attr-defined]
            inner, outer, secret
        )


@settings(deadline=None)
@given(user=st.text(max_size=5), secret=texts, after=st.text(max_size=3), form=names)
@example(user="\x80", secret="0000", after="\x80\xcf\x80", form="form")
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_base64_of_anything_around_a_secret(
    encode: Callable[[bytes], bytes], user: str, secret: str, after: str, form: str
) -> None:
    """As in HTTP Basic, and as SMTP sends a login: no byte of it is revealed."""
    front, back = (text.encode("utf-8", "replace") for text in (f"{user}:", after))
    text = encode(front + secret.encode() + back).decode()
    left = redacted(secret, f"<{FORMS[form](text)}>")
    kept = len(unquote(left).replace("\\/", "/")) - len("<***>")
    assert kept <= len(encode(front + b"\0" * 3 + back))


@settings(deadline=None)
@given(text=st.text(max_size=50))
def test_a_text_without_a_secret_stays(text: str) -> None:
    redactor = Redactor()
    redactor.keep(["canary-in-a-coal-mine", "abc", ""])
    if "canary" not in text:
        assert redactor.text(text) == text


@pytest.mark.parametrize(
    "piece",
    ["\\", '"\\', '\\"', "&amp;", "&#0", "%25", "\\u005c", "\\x5c", "+", "canar"],
)
def test_no_text_takes_long(piece: str) -> None:
    """The time grows with the length: a square of this would never end."""
    redactor = Redactor()
    redactor.keep([*AWKWARD, '\\"\\"\\"', "<<<<>>>>", '""""', "canary" * 20])
    redactor.text(piece * 30_000)


@pytest.mark.parametrize(
    "login", ["me:%s", ":%s", "me:p@%s", "me:%s@b", "me:a/%s", "me:a?%s", "me:a#%s"]
)
def test_a_password_in_an_address(login: str) -> None:
    """Also in one that is not a valid URL because the password is not encoded."""
    password = "canary-1"
    for address in (
        f"x://{login % password}@host/a?b=c@d",
        f"x://{login % password}@h",
    ):
        redactor = Redactor()
        redactor.keep(secrets_in_address(address))
        assert password not in redactor.text(address)


@pytest.mark.parametrize(
    "name", ["password", "sslpassword", "PWD", "access_token", "api-key", "passphrase"]
)
def test_a_parameter_in_an_address(name: str) -> None:
    found = set(secrets_in_address(f"postgresql://host/db?a=b&{name}=a%2Bb+c#x"))
    assert {"a%2Bb+c", "a+b+c", "a+b c"} <= found
    assert "b" not in found


NOTICE = Notice(run_id="r1", job="j", status="failed", summary="no")


@pytest.mark.parametrize(
    "place", ["https://x/%s", "https://x/a/%s/?%s#%s", "//%s@x/", "/%s", "file:///%s"]
)
async def test_a_webhook_that_is_sent_elsewhere(place: str) -> None:
    """Its path is the token, and the redirect repeats it."""
    token = "canary-T0/B0-4711"
    location = place.replace("%s", quote(token, safe="/")).encode()

    async def answer(_: bytes, writer: object) -> None:
        writer.write(reply(b"", "302 Found", b"Location: " + location))  # type: ignore[attr-defined]

    async with raw_server(answer) as url:
        webhook = Webhook(url=f"{url}/hooks/{token}?key={token}")
        with pytest.raises(CatalogSyncError) as caught:
            await webhook.send(NOTICE)
    assert "canary" not in str(caught.value)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("place", ["shop:{}@host", "{}", "host/a/{}/b", "host?key={}"])
@pytest.mark.parametrize("form", FORMS)
async def test_a_service_that_repeats_its_secret(form: str, place: str) -> None:
    """In any form: neither the error nor its causes contain it."""
    apprise = pytest.importorskip("apprise")
    password = 'can"ary-1'

    @apprise.decorators.notify(on="repeating")
    def refuse(*_: object, **__: object) -> bool:
        logging.getLogger("apprise").warning("no %s", FORMS[form](password))
        return False

    try:
        channel = Apprise(url="repeating://" + place.format(quote(password)))
        with pytest.raises(CatalogSyncError, match=r"no \*\*\*") as caught:
            await channel.send(NOTICE)
    finally:
        apprise.plugins.N_MGR.remove("repeating")
    assert "ary" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\n\n"])
def test_a_secret_with_a_line_break_at_its_end(ending: str) -> None:
    for make in (
        lambda: Webhook(url="https://hooks.example.com/a" + ending),
        lambda: Webhook(url="https://hooks.example.com/a", secret="s3cr3t" + ending),
        lambda: Apprise(url="jsons://user:s3cr3t@host" + ending),
    ):
        with pytest.raises(
            MisconfiguredError, match="ends with a line break"
        ) as caught:
            make()
        assert "s3cr3t" not in str(caught.value)
