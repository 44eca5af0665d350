"""
nginx: its configuration, how it is started, what it logs.
"""

import logging
import os
import resource
import socket
import sys
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.serving import refusals
from sagemaker_runtime.serving.children import Children
from sagemaker_runtime.serving.folder import RunFolder
from sagemaker_runtime.settings import Settings, render

# The app answers or gives up at the timeout and gunicorn replaces a stuck worker within the next
# seconds: nginx must still be waiting then.
PROXY_MARGIN_S = 10
# One nginx process feeds several Python workers; a second one on two processors made the slowest
# requests slower (99th percentile at 64 connections: 84 ms with two, 60 ms with one).
WORKERS_PER_NGINX = 4
# Connections that an nginx process holds at most, those to the workers included; each takes a
# descriptor, a body on disk another one. 6,144 of them take 3 MB.
CONNECTIONS = 6144
SPARE_DESCRIPTORS = 64
# How much of what nginx says is repeated when it does not start, in lines.
COMPLAINT_LINES = 5

logger = logging.getLogger(__name__)


class Nginx:
    """
    The nginx at ``path``; ``log`` is a descriptor to read when there is something to print.
    """

    def __init__(
        self, path: str, settings: Settings, environ: Mapping[str, str], folder: RunFolder
    ) -> None:
        self._path = path
        self._settings = settings
        self._environ = environ
        self._folder = folder
        # Opened for writing too: nginx then never waits for a reader nor meets a closed pipe.
        os.mkfifo(folder.path / "nginx.log")
        self.log = os.open(folder.path / "nginx.log", os.O_RDWR | os.O_NONBLOCK)
        # Whether it answers; until then, what it says may be its reason for not doing so.
        self.serves = False
        self._unfinished_line = b""
        self._complaints: list[str] = []

    def start(self, children: Children, listening: socket.socket) -> None:
        """
        Write its configuration and start it, accepting connections at a socket that listens.
        """
        file = self._folder.path / "nginx.conf"
        template = (PROGRAM / "nginx.conf").read_text(encoding="utf-8")
        file.write_text(render(template, self._values(listening)), encoding="utf-8")
        stderr = os.open(self._folder.path / "nginx.log", os.O_WRONLY)
        try:
            children.start(
                "nginx",
                [self._path, "-e", "stderr", "-p", str(self._folder.path), "-c", str(file)],
                # By this variable an nginx hands its sockets over to another, newer one.
                {**self._environ, "NGINX": f"{listening.fileno()};"},
                pass_fds=(listening.fileno(),),
                stderr=stderr,
            )
        finally:
            os.close(stderr)

    def print_log(self) -> None:
        """
        Print what nginx has logged, each line as a JSON object.
        """
        try:
            *lines, self._unfinished_line = (
                self._unfinished_line + os.read(self.log, 65536)
            ).split(b"\n")
        except BlockingIOError:
            return
        for line in lines:
            text = line.decode(errors="replace")
            if text.startswith("{"):
                print(text, file=sys.stderr, flush=True)
            elif self._is_noise(text):
                continue
            elif self.serves:
                logger.error("nginx: %s", text)
            else:
                self._complaints.append(text)

    def has_started(self) -> None:
        """
        Take note that it answers and print what it has said so far.
        """
        self.serves = True
        for text in self._complaints:
            logger.error("nginx: %s", text)

    def complaint(self) -> str:
        """
        Return what nginx said so far instead of serving.
        """
        self.print_log()
        return " ".join(self._complaints[-COMPLAINT_LINES:]) or "it does not say why"

    def _is_noise(self, line: str) -> bool:
        """
        Tell whether a line says what serve knows.
        """
        # That it was given a socket, or that root without capabilities cannot choose its groups.
        return "[notice]" in line or (not self._folder.account and "initgroups(" in line)

    def _values(self, listening: socket.socket) -> dict[str, object]:
        """
        Return what fills the places in {{ }} of the template.
        """
        settings, path = self._settings, self._folder.path
        account = " ".join(self._folder.account or ("root", "root"))
        _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            descriptors = 2 * CONNECTIONS + SPARE_DESCRIPTORS
        descriptors = min(descriptors, 2 * CONNECTIONS + SPARE_DESCRIPTORS)
        any_host = "[::]:" if listening.family == socket.AF_INET6 else ""
        only = " ipv6only=off" if any_host else ""
        sockets = self._folder.sockets(settings.workers)
        return {
            "user": f"user {account};" if os.geteuid() == 0 else "",
            "nginx_workers": ceil(settings.workers / WORKERS_PER_NGINX),
            "descriptors": descriptors,
            "connections": max(64, (descriptors - SPARE_DESCRIPTORS) // 2),
            "run": path,
            # Never left out for a while after a failure: gunicorn replaces a worker at once.
            "servers": "\n        ".join(f"server unix:{path} max_fails=0;" for path in sockets),
            "slots": _slots(sockets),
            "listen": f"{any_host}{settings.port}{only}",
            "stopping": self._folder.stopping,
            "max_payload_mb": settings.max_payload_mb,
            "timeout_s": settings.timeout_s,
            "proxy_timeout_s": settings.timeout_s + PROXY_MARGIN_S,
            # A model may be loaded twice, tried first, before it answers.
            "load_timeout_s": 2 * settings.load_timeout_s + settings.timeout_s + PROXY_MARGIN_S,
            **refusals.maps(settings),
        }


def _slots(sockets: Sequence[Path]) -> str:
    """
    Return a server with room for one request for each worker, of which nginx prefers the first, and
    the same workers with room for more as backups.
    """
    lines = [f"server unix:{path} max_fails=0 max_conns=1;" for path in sockets]
    # Of servers that are equally idle, nginx chooses by weight.
    lines[0] = lines[0].replace(";", f" weight={100 * len(sockets)};")
    lines += [f"server unix:{path} max_fails=0 backup;" for path in sockets]
    return "\n        ".join(lines)
