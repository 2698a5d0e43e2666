"""GET / counts a visit and leaves a job for the worker; what Dockerflow asks is passed on to svc."""
import json
import os
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

from store import store

ENDPOINTS = ("/__version__", "/__heartbeat__", "/__lbheartbeat__")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path in ENDPOINTS:
            self.pass_on()
        elif self.path == "/":
            self.count()
        else:
            self.reply(404, {"error": "not found"})

    def count(self):
        try:
            visits = store.incr("visits")
            store.rpush("jobs", str(visits))
            self.reply(200, {"name": os.environ["APP_NAME"], "visits": visits, "done": int(store.get("done") or 0)})
        except redis.ConnectionError as error:
            self.reply(503, {"error": str(error)})

    def pass_on(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['HEARTBEAT_PORT']}{self.path}", timeout=5) as reply:
                self.answer(reply.status, reply.read())
        except urllib.error.HTTPError as reply:
            self.answer(reply.code, reply.read())

    def reply(self, code, value):
        self.answer(code, json.dumps(value).encode())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
