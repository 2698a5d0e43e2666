"""Answers with its modules; loads them at its start, and again at SIGHUP."""
import http.server
import json
import os
import signal

MODULES = "/openmrs/data/modules"
loaded = []


def load(*_):
    loaded[:] = sorted(name for name in os.listdir(MODULES) if name.endswith(".omod"))
    print("loaded", *loaded, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"pid": os.getpid(), "modules": loaded}).encode() + b"\n")

    def log_message(self, *_):
        pass


signal.signal(signal.SIGHUP, load)
load()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
