"""
Serves: the first process holds the port and watches two workers.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import models
from model import FAULT, Refused, answer, load

WORKERS = 2
MODEL = "/opt/ml/model"
SEVERAL = os.environ.get("SAGEMAKER_MULTI_MODEL") == "true"
STARTED = time.monotonic()
PROMETHEUS = b'# TYPE requests counter\nrequests_total{route="/ping"} 1\n'
ADVICE = {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 50}
one_at_a_time = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """
    Answers the platform's calls.
    """

    protocol_version = "HTTP/1.1"
    mean = None
    registry = None
    running = 0
    pings = 0

    def log_message(self, *arguments):
        if FAULT == "noisy":
            print("GET /ping 200", flush=True)

    def reply(self, status, body, content_type="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def work(self):
        Handler.running += 1
        try:
            self.route()
        except Refused as error:
            self.reply(error.status, {"error": str(error)})
        finally:
            Handler.running -= 1

    do_GET = do_POST = do_DELETE = work

    def route(self):
        path = self.path.partition("?")[0]
        body = self.body()
        if path == "/ping":
            self.ping()
        elif path == "/execution-parameters":
            advice = ADVICE | ({"MaxPayloadInMB": 60} if FAULT == "advice" else {})
            self.reply(200, advice)
        elif path == "/metrics":
            text = b"requests: many\n" if FAULT == "metrics" else PROMETHEUS
            self.reply(200, text, "text/plain; version=0.0.4")
        elif path == "/invocations" and not SEVERAL:
            self.invocations(body)
        elif path.startswith("/models") and FAULT != "no-models":
            self.several(path, body)
        else:
            self.reply(404, {"error": "there is no such route"})

    def ping(self):
        Handler.pings += 1
        if FAULT == "slow-ping" and Handler.pings > 4:
            time.sleep(2.2)
        if FAULT == "busy-ping" and Handler.running > 1:
            time.sleep(2.2)
        if self.mean is None and not SEVERAL and FAULT not in ("no-model-ping", "damaged-ping"):
            self.reply(503, {"error": "there is no model"})
        else:
            self.reply(200, {})

    def invocations(self, body):
        if FAULT == "early-ping" and time.monotonic() - STARTED < 3:
            raise Refused(503, "not yet")
        if FAULT == "headers" and "X-Amzn-SageMaker-Session-Id" in self.headers:
            raise Refused(400, "what is this header?")
        if FAULT == "shared":
            time.sleep(0.05)
            body *= Handler.running
        if self.mean is None:
            raise Refused(500, "there is no model")
        accept = self.headers.get("Accept", "")
        time.sleep(min(1.2, len(body) / 3_000_000))  # a model that has something to do
        content_type, text = answer(self.mean, body, self.headers["Content-Type"], accept)
        self.reply(200, text, content_type)

    def several(self, path, body):
        parts = path.split("/")[2:]
        name = unquote(parts[0]) if parts else ""
        if FAULT == "plain-names" and parts:
            name = parts[0]
        if not parts and self.command == "POST":
            asked = json.loads(body)
            self.reply(200, self.registry.load(asked["model_name"], asked["url"]))
        elif not parts:
            self.reply(200, self.registry.list())
        elif parts[1:] == ["invoke"]:
            accept = self.headers.get("Accept", "")
            content_type = self.headers["Content-Type"]
            content_type, text = self.registry.invoke(name, body, content_type, accept)
            self.reply(200, text, content_type)
        elif self.command == "DELETE":
            self.reply(200, self.registry.unload(name))
        else:
            self.reply(200, self.registry.get(name))


class Server(ThreadingHTTPServer):
    """
    A worker's server on the port that the first process holds.
    """

    daemon_threads = False
    allow_reuse_address = True


def work(listening):
    """What a worker does."""
    try:
        Handler.mean = load(MODEL)
    except (OSError, ValueError) as error:
        print(f"no model: {error}", flush=True)
        if FAULT == "damaged-ping" and not os.path.exists(f"{MODEL}/model.json"):
            sys.exit(3)
    server = Server(listening.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening

    def stop(number, frame):
        if FAULT == "loses":
            os._exit(0)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(0.02)
    server.server_close()
    os._exit(0)


def restricted():
    """Faults that show only where the platform grants less."""
    if FAULT == "writes":
        open("/reference/cache", "w").close()
    if FAULT == "root-only":
        open("/etc/shadow").close()
    if FAULT == "shared-memory":
        with open("/dev/shm/queue", "wb") as file:
            file.write(b"0" * 100_000)
    if FAULT == "memory":
        Handler.ballast = b"1" * 1_200_000_000
    # Stands for a download: the resolver of a network without an exit is Docker's own.
    resolver = Path("/etc/resolv.conf").read_text()
    if FAULT == "serve-online" and "127.0.0.11" in resolver:
        sys.exit("the download failed")
    if FAULT == "exits":
        sys.exit(4)


def main():
    restricted()
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    if FAULT == "8080":
        port = 8080
    host = "127.0.0.1" if FAULT == "loopback" else ""
    listening = socket.create_server((host, port), backlog=512)
    listening.setblocking(False)  # both workers wait for the same connections
    if FAULT == "second-port":
        Handler.second = socket.create_server(("127.0.0.1", 5555))
    Handler.registry = models.Models(models.folder())
    children = set()
    stopping = False

    def stop(number, frame):
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, signal.SIGTERM)

    if FAULT != "deaf-server":
        signal.signal(signal.SIGTERM, stop)
    while True:
        while len(children) < WORKERS and not stopping:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                work(listening)
            children.add(child)
        if not children:
            return
        try:
            dead, _ = os.wait()
        except ChildProcessError:
            return
        children.discard(dead)
        if FAULT == "crash-0" and not stopping:
            for child in children:
                os.kill(child, signal.SIGKILL)
            os._exit(0)
        if FAULT == "crash-stays" and not stopping:
            for child in children:
                os.kill(child, signal.SIGKILL)
            time.sleep(3600)


main()
