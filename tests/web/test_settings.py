"""The settings of `catalogsync serve`: what is refused, and in which words."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.web.sites import OPERATE, SECRET

from catalogsync import RunStatus
from catalogsync.config import load_config, load_serve
from catalogsync.errors import MisconfiguredError
from catalogsync.web import Role

JOBS = """
[jobs.shelf]
source = { type = "dummyjson", url = "https://dummyjson.com" }
sink = { type = "sql", url = "sqlite:///catalog.db" }
schedule = "never"
"""
TOKENS = f'tokens.boss = {{ token = "{OPERATE}", role = "operate" }}\n'
SHORT = "short-secret"


def write(folder: Path, serve: str) -> Path:
    path = folder / "catalogsync.toml"
    path.write_text(f"{JOBS}[serve]\n{serve}")
    return path


def test_what_is_read(tmp_path: Path) -> None:
    """Texts may come from the environment; the rest has its defaults."""
    text = 'tokens.me.token = "${TOKEN}"\nwebhooks.shelf = ["${HOOK}"]\n'
    path = write(tmp_path, text + 'cors = ["https://admin.example.com:9000"]')
    settings = load_serve(path, environ={"TOKEN": OPERATE, "HOOK": SECRET})
    assert settings.tokens["me"].token == OPERATE
    assert settings.tokens["me"].role is Role.READ
    assert settings.webhooks == {"shelf": (SECRET,)}
    assert (settings.host, settings.port, settings.open) == ("127.0.0.1", 8080, False)
    assert settings.secrets == {OPERATE, SECRET}
    assert OPERATE not in repr(settings)
    assert SECRET not in repr(settings)


def test_notifications(tmp_path: Path) -> None:
    """Webhooks and e-mail; no output contains their secrets."""
    pytest.importorskip("apprise")
    notify = """
    notify.on = ["failed", "cancelled"]
    notify.recovered = false
    [[serve.notify.webhooks]]
    url = "${CHAT}"
    secret = "${HOOK}"
    headers = { X-Key = "header-value-0123" }
    [[serve.notify.apprise]]
    url = "mailtos://shop:mail-password-0123@mail.example.com?to=boss@example.com"
    title = "$job"
    """
    chat = "https://chat.example.com/hooks/T0K3N"
    path = write(tmp_path, TOKENS + notify)
    settings = load_serve(path, environ={"CHAT": chat, "HOOK": SECRET})
    assert settings.notify is not None
    assert settings.notify.on == (RunStatus.FAILED, RunStatus.CANCELLED)
    (hook,), (mail,) = settings.notify.webhooks, settings.notify.apprise
    assert (hook.url, hook.secret, mail.title) == (chat, SECRET, "$job")
    hidden = {chat, SECRET, "header-value-0123", "mail-password-0123"}
    assert settings.secrets >= hidden
    assert not any(text in repr(settings) for text in hidden)
    assert load_serve(write(tmp_path, TOKENS), environ={}).notify is None


def test_other_commands_do_not_need_it(tmp_path: Path) -> None:
    """So what it takes from the environment may be missing there."""
    path = write(tmp_path, 'tokens.me.token = "${NOT_SET}"')
    assert list(load_config(path).jobs) == ["shelf"]


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        (f'{TOKENS}log = "xml"', "serve.log: must be one of `text`, `json`"),
        (
            f'{TOKENS}notify.on = ["fine"]',
            "serve.notify.on[0]: must be one of `succeeded`",
        ),
        (
            f"{TOKENS}notify.webhooks = [{{ url = 'ftp://x', session = 1 }}]",
            "serve.notify.webhooks[0].session: unknown key",
        ),
        (
            f"{TOKENS}notify.webhooks = [{{ url = 'ftp://x' }}]",
            "serve.notify.webhooks[0].url: ",
        ),
        (
            f"{TOKENS}notify.apprise = [{{ title = 'x' }}]",
            "serve.notify.apprise[0].url: is missing",
        ),
        (
            "",
            "serve.tokens: is empty; add a token, or set `open = true` (127.0.0.1 only)",
        ),
        ('host = "0.0.0.0"', "serve.tokens: is empty"),
        (
            'host = "0.0.0.0"\nopen = true',
            "serve.open: works on 127.0.0.1 only; with host 0.0.0.0",
        ),
        (
            'host = "192.0.2.1"\nopen = true\n' + TOKENS,
            "serve.open: works on 127.0.0.1 only; with host 192.0.2.1",
        ),
        ('host = ""\nopen = true', "serve.open: works on 127.0.0.1 only"),
        (TOKENS + "prot = 1", "serve.prot: unknown key; did you mean `port`?"),
        (TOKENS + "port = 70000", "serve.port: must be 0 to 65535, is 70000"),
        (TOKENS + 'port = "80"', "serve.port: must be a whole number, not text"),
        (TOKENS + "grace = -1", "serve.grace: must be 0 or more, is -1"),
        (TOKENS + "max_body = 0", "serve.max_body: must be more than 0, is 0"),
        (f'tokens.a = "{OPERATE}"', "serve.tokens.a: must be a table, not text"),
        (
            f'tokens.a.token = "{SHORT}"',
            "serve.tokens.a.token: must have 16 or more printable ASCII characters",
        ),
        ('tokens.a.token = "${NOT_SET}"', "environment variable NOT_SET is not set"),
        (
            f'tokens.a = {{ token = "{OPERATE}", role = "admin" }}',
            "serve.tokens.a.role: must be one of `read`, `operate`",
        ),
        (
            TOKENS + f'webhooks.shelf = ["{SECRET}", "{SHORT}"]',
            "serve.webhooks.shelf[1]: must be whsec_ and the base64 of 24 to 64",
        ),
        (TOKENS + "webhooks.shelf = []", "serve.webhooks.shelf: needs a secret"),
        (
            TOKENS + f'webhooks.shel = ["{SECRET}"]',
            "serve.webhooks.shel: unknown job; did you mean `shelf`?",
        ),
        (
            f'tokens.a.token = "{OPERATE}"\ntokens.b.token = "{OPERATE}"',
            "serve.tokens.b.token: is also the token of 'a'; use different tokens",
        ),
        (TOKENS + 'cors = ["*"]', "serve.cors[0]: must be an origin such as"),
        (TOKENS + 'cors = ["https://a/b"]', "serve.cors[0]: must be an origin"),
    ],
)
def test_what_is_refused(tmp_path: Path, serve: str, message: str) -> None:
    """By one line that names the place and shows no secret."""
    with pytest.raises(MisconfiguredError) as caught:
        load_serve(write(tmp_path, serve), environ={})
    assert message in str(caught.value)
    for secret in (OPERATE, SECRET, SHORT):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("serve", ["open = true", 'host = "::1"\nopen = true'])
def test_open_on_this_machine(tmp_path: Path, serve: str) -> None:
    assert load_serve(write(tmp_path, serve), environ={}).open


@pytest.mark.parametrize("trouble", ["taken", "elsewhere", "tokens"])
def test_it_cannot_listen(tmp_path: Path, trouble: str) -> None:
    """One line, and exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serve, message = {
            "taken": (
                f"{TOKENS}port = {port}",
                f"error: serve.port: port {port} on 127.0.0.1 is already in use\n",
            ),
            "elsewhere": (
                f'{TOKENS}host = "192.0.2.1"',
                "error: serve.host: cannot listen on 192.0.2.1, port 8080: ",
            ),
            "tokens": ('host = "0.0.0.0"', "error: serve.tokens: is empty"),
        }[trouble]
        write(tmp_path, serve)
        ended = subprocess.run(
            [sys.executable, "-m", "catalogsync", "serve"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(message)
    assert ended.stderr.count("\n") == 1
