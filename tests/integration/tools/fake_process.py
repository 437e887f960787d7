#!/usr/bin/env python3
"""Stands in for baton-router, baton-prefill and baton-decode: the flags, files and endpoints of each, and no model.

Takes its role from its own file name. Environment: FAKE_DIE=NAME ends that worker at once with a last word; FAKE_DEAF=NAME makes
it ignore SIGTERM; FAKE_SMALL: the router refuses long prompts; FAKE_SILENT: it never answers a request.
"""

import http.server
import json
import os
import signal
import sys
import threading

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
role = os.path.basename(sys.argv[0]).removeprefix("baton-")
name = flags.get("name", "router")


STREAMS = [{"id": "a" * 32, "worker": "decode-0", "rank": 0, "prompt_tokens": 5, "tokens": 12, "movable": True},
           {"id": "ab" + "0" * 30, "worker": "decode-1", "rank": 0, "prompt_tokens": 7, "tokens": 0, "movable": False,
            "why_not": "the stream has not begun to decode yet"}]


def workers():
    with open(flags["workers_file"]) as file:
        return file.read().split()


def status():
    pages = {"free": 60, "used": 4, "cached": 0, "pinned": 0, "pulling": 0, "quarantined": 0}
    rank = {"rank": 0, "running": 1, "waiting": 0, "backlog_tokens": 7, "pages": pages}
    return {"workers": [{"name": worker, "endpoint": worker, "healthy": True, "ranks": [rank]} for worker in workers()]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, text, kind="application/json"):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/readyz":
            return self.answer(200, "ready")
        if self.path == "/v1/models":
            return self.answer(200, json.dumps({"data": [{"id": "fake"}]}))
        if self.path == "/baton/status":
            return self.answer(200, json.dumps(status()))
        if self.path == "/baton/streams":
            return self.answer(200, json.dumps({"streams": STREAMS}))
        return self.answer(404, "{}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/baton/migrate":
            if body["to"] == "nowhere":
                return self.answer(404, json.dumps({"error": {"message": "no worker is called 'nowhere'"}}))
            return self.answer(200, json.dumps({"stream": body["stream"], "from": "decode-0/0", "to": body["to"], "ms": 1.5}))
        if not workers():
            return self.answer(503, json.dumps({"error": {"message": "no worker is ready"}}))
        if os.environ.get("FAKE_SMALL") and len(body.get("prompt", "")) > 100:
            return self.answer(400, json.dumps({"error": {"message": "the prompt is too long"}}))
        if os.environ.get("FAKE_SILENT"):
            return self.rfile.read(1)
        if not body.get("stream"):
            return self.answer(200, json.dumps({"choices": [{"text": "hi"}]}))
        said = body["messages"][-1]["content"]
        if said == "fail":
            return self.answer(400, json.dumps({"error": {"message": "I was told to fail"}}))
        end = [] if said == "break off" else ["[DONE]"]
        events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in ("you said ", said, " €")] + end
        return self.answer(200, "".join(f"data: {event}\n\n" for event in events), "text/event-stream")

    def log_message(self, *args):
        pass


def main():
    print(f"{name} starts", flush=True)
    if os.environ.get("FAKE_DIE") == name:
        print("the model file is broken", flush=True)
        sys.exit(4)
    if os.environ.get("FAKE_DEAF") == name:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *unused: threading.Thread(target=server.shutdown).start())
    listen = flags.get("listen") or flags["http_listen"]
    host, port = listen.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    address = f"{host}:{server.server_address[1]}"
    with open(flags["address_file"] + ".new", "w") as file:
        json.dump({"http": address} if role == "router" else {"grpc": name, "http": address}, file)
    os.rename(flags["address_file"] + ".new", flags["address_file"])
    server.serve_forever()


main()
