"""What stands between a bucket and its store, and spoils the store's answers: a store that is slow, wrong or lying."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fault = Callable[["Answer"], None]


@dataclass
class Answer:
    """An answer of the store, to be spoiled before it is handed on; `request` counts from 1 since the fault began."""

    request: int
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    sent_bytes: int | None = None
    """Send only so many bytes of the body, and then close."""
    trickles: bool = False
    """Send the body a byte at a time, without end in sight."""
    wait: threading.Event | None = None
    """Send nothing until this is set."""


@dataclass
class Spoiled:
    """The address to give to a bucket, and the fault that it has now."""

    endpoint: str
    fault: Fault | None = None
    asked: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def truncated(answer: Answer) -> None:
    if answer.method == "GET":
        answer.sent_bytes = len(answer.body) // 2


def trickling(answer: Answer) -> None:
    answer.trickles = answer.method == "GET"


def short(answer: Answer) -> None:
    if answer.method == "GET":
        answer.body = answer.body[: len(answer.body) // 2]


def long(answer: Answer) -> None:
    if answer.method == "GET":
        answer.body += b"more"


def other_bytes(answer: Answer) -> None:
    if answer.method == "GET" and answer.status < 300:
        answer.body = bytes(each ^ 1 for each in answer.body)


def other_etag(answer: Answer) -> None:
    answer.headers["ETag"] = '"00000000000000000000000000000000"'


def whole_for_a_range(answer: Answer) -> None:
    if answer.method == "GET":
        answer.status = 200
        answer.headers.pop("Content-Range", None)


def failing(status: int, code: str, times: int = 10**9) -> Fault:
    """Answer the first `times` requests with an error in S3's form."""

    def fault(answer: Answer) -> None:
        if answer.request <= times:
            answer.status = status
            answer.headers = {"Content-Type": "application/xml"}
            answer.body = f"<Error><Code>{code}</Code><Message>not now</Message></Error>".encode()

    return fault


def hanging(spoiled: Spoiled) -> Fault:
    def fault(answer: Answer) -> None:
        answer.wait = spoiled.ended

    return fault


def endless_list(answer: Answer) -> None:
    """The same page again and again, each time with a promise of more."""
    answer.body = re.sub(
        b"<IsTruncated>false</IsTruncated>",
        b"<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>",
        answer.body,
    )


def list_with(key: str) -> Fault:
    """A list that names another key in the place of the first."""

    def fault(answer: Answer) -> None:
        if b"<Key>" in answer.body:
            answer.body = re.sub(b"<Key>[^<]*</Key>", f"<Key>{key}</Key>".encode(), answer.body, count=1)

    return fault


def list_of(count: int) -> Fault:
    """A list of that many objects that nobody has."""

    def fault(answer: Answer) -> None:
        found = re.search(b"<Contents>.*?</Contents>", answer.body, re.DOTALL)
        if found:
            made = [
                re.sub(b"<Key>[^<]*</Key>", b"<Key>many/%06d</Key>" % number, found[0])
                for number in range(count)
            ]
            answer.body = answer.body[: found.start()] + b"".join(made) + answer.body[found.end() :]

    return fault


@contextlib.contextmanager
def before(port: int) -> Iterator[Spoiled]:  # noqa: C901  a server in a function
    """Stand before the store at a port of loopback."""
    spoiled = Spoiled("")
    lock = threading.Lock()
    counted = {"fault": None, "number": 0}

    class Between(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # the host among them: it is signed
                connection.putheader(name, value)
            connection.endheaders(body)
            real = connection.getresponse()
            with lock:
                spoiled.asked.append(f"{self.command} {self.path}")
                if counted["fault"] is not spoiled.fault:
                    counted.update(fault=spoiled.fault, number=0)
                counted["number"] += 1
                number = counted["number"]
            headers = {
                name.title() if name.lower() != "etag" else "ETag": value for name, value in real.getheaders()
            }
            length = headers.pop("Content-Length", "0")
            answer = Answer(number, self.command, self.path, real.status, headers, real.read())
            connection.close()
            if spoiled.fault:
                spoiled.fault(answer)
            self._answer(answer, length)

        def _answer(self, answer: Answer, length: str) -> None:
            if answer.wait is not None:
                answer.wait.wait(60)
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                if name not in {"Connection", "Transfer-Encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(answer.body)))
            self.end_headers()
            if answer.trickles:
                for at in range(len(answer.body)):
                    self.wfile.write(answer.body[at : at + 1])
                    if spoiled.ended.wait(0.05):
                        break
            elif self.command != "HEAD":
                self.wfile.write(answer.body[: answer.sent_bytes])
            if answer.sent_bytes is not None:
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815  their names

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that left is nobody's fault."""

    server = Quiet(("127.0.0.1", 0), Between)
    spoiled.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield spoiled
    finally:
        spoiled.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
