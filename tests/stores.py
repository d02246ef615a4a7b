"""A real S3 server on the loopback, and a proxy that makes it fail now and then."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
SERVER = os.environ.get("HEARTFAST_S3S_FS") or str(ROOT / "target/tools/bin/s3s-fs")
# Names that nothing but a request may have.
KEY, SECRET = "AKIAHEARTFASTTEST", "s3cr3t-0f-the-heartfast-tests"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """s3s-fs over a folder, whose folders are buckets; it can be stopped and started again."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [SERVER, "--access-key", KEY, "--secret-key", SECRET]
        command += ["--host", "127.0.0.1", "--port", str(self.port), str(self.root)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise RuntimeError("s3s-fs does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def environment(url: str) -> dict[str, str]:
    """What a client of the server has in its environment."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
    }


@contextlib.contextmanager
def s3_server(root: Path) -> Iterator[Server]:
    """Run a server, with the bucket "bucket"; the test skips by name without one."""
    if shutil.which(SERVER) is None:
        pytest.skip("needs s3s-fs (make target/tools/bin/s3s-fs)")
    (root / "bucket").mkdir(parents=True, exist_ok=True)
    server = Server(root)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def failing(server: Server, fails: Callable[[int], int | None]) -> Iterator[str]:
    """Give the URL of a proxy that answers for the server where `fails(request)`,
    counted from 0, is a status: every other time only after the server has done what was asked.
    """
    count = [0]
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with lock:
                number = count[0]
                count[0] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = fails(number)
            if status is None or number % 2:
                answer = self._forward(body)
            if status is not None:
                answer = status, [], b""
            code, headers, data = answer
            self.send_response(code)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = {n.lower(): v for n, v in headers}.get("content-length")
            head = self.command == "HEAD"
            self.send_header("Content-Length", length if head and length else str(len(data)))
            self.end_headers()
            if not head:
                self.wfile.write(data)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            to = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            try:
                # The host is part of what is signed.
                to.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    to.putheader(name, value)
                to.endheaders(body)
                got = to.getresponse()
                return got.status, got.getheaders(), got.read()
            except OSError:
                return 502, [], b""
            finally:
                to.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 as their caller has them

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
