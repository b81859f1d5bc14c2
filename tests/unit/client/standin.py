"""A management API that says what a test told it to say, and remembers what it was asked."""

import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "secret-key"


class Standin:
    """Answers by (method, path below /management/v3/): one reply after the other, the last one for ever."""

    def __init__(self):
        self.replies = defaultdict(list)
        self.asked = []
        self.address = ""

    def says(self, method, path, *bodies, status=200):
        self.replies[method, path] += [(status, body) for body in bodies]

    def fails(self, method, path, status, code, message, **more):
        self.says(method, path, [{"message": message, "type": code, **more}], status=status)

    def bodies(self, method, path):
        return [body for asked, where, body, _ in self.asked if (asked, where) == (method, path)]

    def reply(self, method, path):
        waiting = self.replies[method, path]
        if not waiting:
            return 404, [{"message": f"nothing at {method} {path}", "type": "not-found"}]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def running():
    standin = Standin()

    class Answer(BaseHTTPRequestHandler):
        def do(self):
            path = self.path.removeprefix("/management/v3/")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            standin.asked.append((self.command, path, json.loads(body) if body else None, dict(self.headers)))
            status, reply = standin.reply(self.command, path)
            data = reply if isinstance(reply, bytes) else b"" if reply is None else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do  # noqa: N815  the names that http.server looks for

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        standin.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield standin
        finally:
            server.shutdown()
            thread.join()
