"""A few lines over http.server: routes, JSON in and out. Services use it as they would use Flask."""

import json
import os
import re
import signal
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DATA = Path(os.environ.get("SHOP_DATA", "data")).resolve()


class Reply:
    """What a handler answers when plain JSON with status 200 will not do."""

    def __init__(self, status, body=b"", kind="application/json", headers=None):
        self.status, self.kind, self.headers = status, kind, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class Request:
    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.method, self.path, self.headers, self.body = method, parts.path, headers, body
        self.query = {key: values[-1] for key, values in parse_qs(parts.query).items()}

    def json(self):
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(400, "the body is not JSON")
        if not isinstance(value, dict):
            raise Refused(400, "the body is not a JSON object")
        return value

    def token(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        return value if kind == "Bearer" else ""


class Refused(Exception):
    """Raised by a handler: answered with this status and reason."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status, self.reason = status, reason


class App:
    """@app.on("GET", "/things/{name}") binds a function of (request, name)."""

    def __init__(self, name):
        self.name, self.routes = name, []
        self.on("GET", "/up")(lambda request: {"up": True})

    def on(self, method, pattern):
        expression = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[\\w.-]+)", pattern) + "$")

        def bind(handler):
            self.routes.append((method, expression, handler))
            return handler

        return bind

    def answer(self, request):
        known = False
        for method, expression, handler in self.routes:
            if match := expression.match(request.path):
                known = True
                if method == request.method:
                    result = handler(request, **match.groupdict())
                    return result if isinstance(result, Reply) else Reply(200, result)
        return Reply(405 if known else 404, {"error": "no such method" if known else "no such page"})

    def respond(self, handler, reply):
        """Writes the reply. The inventory replaces this to show what a slow service does."""
        handler.wfile.write(head(reply) + reply.body)

    def run(self):
        """Serves on $PORT until SIGTERM, then finishes what is in flight."""
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, self.headers, self.rfile.read(length))
                try:
                    reply = app.answer(request)
                except Refused as refused:
                    reply = Reply(refused.status, {"error": refused.reason})
                except Exception:
                    traceback.print_exc()
                    reply = Reply(500, {"error": f"{app.name} failed; its log says why"})
                app.respond(self, reply)
                if request.path != "/up":
                    print(f"{request.method} {request.path} {reply.status}", flush=True)

            do_GET = do_POST = do_PUT = do_DELETE = serve

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"{self.name} listens on {server.server_address[1]}", flush=True)
        server.serve_forever(poll_interval=0.1)


def head(reply):
    lines = [f"HTTP/1.1 {reply.status} {'OK' if reply.status < 400 else 'Refused'}",
             f"Content-Type: {reply.kind}", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
