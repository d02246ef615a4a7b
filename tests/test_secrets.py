"""No part, escape or byte form of a secret is in a message, a traceback or a file."""

from __future__ import annotations

import base64
import json
import re
import threading
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

import heartfast
from heartfast import places
from heartfast.cli import main

pytest.importorskip("obstore")

KEY, SECRET, TOKEN = "AKIAVERYOWNKEYNAME", "sEcr3t/0f+the=Tests", "t0ken|of|the|session"
PEM = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"


def forms(secret: str) -> list[str]:
    """The ways in which a message may have it, and its parts of six characters."""
    data = secret.encode()
    whole = [quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1], data.hex()]
    whole += [base64.b64encode(data).decode().rstrip("="), str(list(data))[1:-1]]
    whole += [", ".join(map(str, data[:6])), secret[::-1], "\n".join(secret)]
    return whole + [secret[at : at + 6] for at in range(len(secret) - 5)]


def no_secrets(*texts: str) -> None:
    for text in texts:
        for secret in (KEY, SECRET, TOKEN, PEM):
            for form in forms(secret):
                assert form not in text, form


def chained(error: BaseException) -> str:
    """All that an error carries along, also what a traceback leaves out."""
    told = [repr(error), str(error), repr(getattr(error, "__notes__", ""))]
    told += traceback.format_exception(error)
    for other in (error.__context__, error.__cause__):
        if other is not None:
            told.append(chained(other))
    return "\n".join(told)


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setattr(places, "_RETRY_S", 1)
    places._store.cache_clear()
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "RUST_BACKTRACE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    places._store.cache_clear()


@contextmanager
def telltale(status: int):
    """A server of S3 that answers with all that it was asked with, and with the secrets."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked = f"{self.path} {self.headers} {KEY} {SECRET} {TOKEN}"
            kinds = [asked, quote(asked), repr(asked.encode()), base64.b64encode(asked.encode())]
            body = f"<Error><Code>SlowDown</Code><Message>{kinds}</Message></Error>".encode()
            self.send_response(status, f"no {SECRET}".replace("\n", ""))
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", f"http://{KEY}:x@127.0.0.1:9/{quote(SECRET)}")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PROPFIND = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def files_below(folder: Path) -> list[str]:
    return [p.read_bytes().decode("latin-1") for p in folder.rglob("*") if p.is_file()]


def tried(tmp_path: Path, capfd, *arguments: str) -> str:
    """Run `convert` by both ways, and look at all that comes of it."""
    assert main(["convert", *arguments, "-o", str(tmp_path / "out")]) in (1, 2, 3)
    said = "".join(capfd.readouterr())
    no_secrets(said, *files_below(tmp_path))
    places._store.cache_clear()
    with pytest.raises((heartfast.HeartfastError, OSError, ValueError)) as caught:
        heartfast.convert(arguments[0], tmp_path / "again")
    no_secrets(chained(caught.value), *capfd.readouterr())
    return said


@pytest.mark.parametrize("status", [301, 400, 403, 404, 412, 500, 503])
def test_what_a_server_answers(environment, tmp_path, capfd, status):
    with telltale(status) as url:
        environment.setenv("AWS_ENDPOINT_URL", url)
        said = tried(tmp_path, capfd, "s3://bucket/in")
        assert "s3://bucket/in" in said
        if status in (500, 503):
            assert f"found status {status} (SlowDown)" in said
        web = tried(tmp_path, capfd, f"{url}/x.wav")
        assert f"{url}/x.wav" in web


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@127.0.0.1:9/x.wav",
        f"https://{KEY}:{quote(SECRET, safe='')}@127.0.0.1:9/x.wav",
        f"https://{KEY}%3A{quote(SECRET, safe='')}%40127.0.0.1/x.wav",
        f"HTTPS://user:{SECRET}@127.0.0.1:9/x.wav",
        f" https://user:{SECRET}@127.0.0.1:9/x.wav",
        f"ftp://user:{SECRET}@127.0.0.1/x.wav",
        f"https://127.0.0.1:9/x.wav?X-Amz-Signature={SECRET}",
        f"https://127.0.0.1:9/x.wav#{SECRET}",
        f"s3://b/x.wav?X-Amz-Signature={SECRET}",
        f"s3://b/x.wav?X-Amz-Credential=x&X-Amz-Security-Token={TOKEN}",
        f"s3://{KEY}:{SECRET}@bucket/x.wav",
        f"gs://b/x?sig={SECRET}",
        f"az://c/x.wav?sv=2024&sig={quote(SECRET, safe='')}",
    ],
)
def test_urls_with_secrets(environment, tmp_path, capfd, url):
    del environment
    verbs = (
        ["convert", url, "-o", str(tmp_path / "out")],
        ["convert", str(tmp_path), "-o", url],
        ["convert", str(tmp_path), "-o", str(tmp_path / "out"), "--labels", url],
        ["convert", str(tmp_path), f"--out={url}"],
        ["merge", url],
        ["score", url, url, "-o", str(tmp_path / "scores.csv")],
        ["train", url, "-o", url],
        ["pack", url, "-o", str(tmp_path / "sets")],
        ["gallery", url],
        ["evaluate", url, url],
        ["run", url, "-o", str(tmp_path / "run"), "--labels", url],
        ["info", url],
    )
    for verb in verbs:
        assert main(verb) == 2
        said = "".join(capfd.readouterr())
        assert "expected a URL without" in said
        assert said.count("\n") == 1
        no_secrets(said, *files_below(tmp_path))
    if places.is_url(url):
        for call in (
            lambda: heartfast.convert(url, tmp_path / "out"),
            lambda: heartfast.convert(tmp_path, url),
            lambda: heartfast.convert(tmp_path, tmp_path / "out", labels=url),
            lambda: heartfast.merge(url),
        ):
            with pytest.raises(heartfast.UsageError) as caught:
                call()
            no_secrets(chained(caught.value))
    assert not list(tmp_path.iterdir())


ENDPOINTS = [
    f"http://user:{SECRET}@127.0.0.1:9/",
    "http://user:p@" + SECRET + "@127.0.0.1:9/",
    f"http://{KEY}:{quote(SECRET, safe='')}@127.0.0.1:9",
    f"http://127.0.0.1:9/?key={SECRET}",
    f"http://127.0.0.1:{SECRET}/",
    SECRET,
    f"http://[{SECRET}",
    f"http://127.0.0.1:9/\x01{SECRET}",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_endpoints(environment, tmp_path, capfd, endpoint):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    said = tried(tmp_path, capfd, "s3://bucket/in")
    assert said.count("\n") == 1
    assert "AWS_ENDPOINT_URL: expected http(s)://HOST" in said


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION"])
def test_values_that_no_request_can_have(environment, tmp_path, capfd, name):
    for value in (f"{TOKEN}\n{SECRET}", f"{SECRET}\u20ac"):
        environment.setenv(name, value)
        said = tried(tmp_path, capfd, "s3://bucket/in")
        assert said.count("\n") == 1
        assert f"{name}: expected printable ASCII" in said


def test_keys_of_google(environment, tmp_path, capfd):
    body = f"-----BEGIN PRIVATE KEY-----{PEM}-----END PRIVATE KEY-----"
    account = {"type": "service_account", "private_key": body, "private_key_id": KEY,
               "client_email": "a@b", "token_uri": "http://127.0.0.1:9/"}  # fmt: skip
    for value in (json.dumps(account), json.dumps({"type": TOKEN}), SECRET, f'{{"a": "{PEM}'):
        environment.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", value)
        said = tried(tmp_path, capfd, "gs://bucket/in")
        assert "gs://bucket/in" in said
        assert "credentials that cannot be used" in said or "expected" in said


def test_a_panic_is_an_error_of_the_store(environment, tmp_path, capfd):
    """What panics there today is refused before; a port that is none is not."""
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:99999/")
    said = tried(tmp_path, capfd, "s3://bucket/in")
    last = said.splitlines()[-1]
    assert re.match(r"heartfast convert: s3://bucket/in.*: expected a store to answer", last)
