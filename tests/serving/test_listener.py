"""The port that serve takes: for both versions of IP, and given up without losing a caller."""

import os
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import cast

import pytest

from harness import free_port
from sagemaker_runtime.errors import SettingError
from sagemaker_runtime.serving import listener
from sagemaker_runtime.serving.children import Children
from sagemaker_runtime.serving.folder import RunFolder
from sagemaker_runtime.serving.nginx import Nginx
from sagemaker_runtime.settings import Settings


def test_it_refuses_until_somebody_listens() -> None:
    """A taken port refuses connections until its socket listens, then it takes both versions."""
    with free_port() as port, listener.take(port) as taken:
        with socket.socket() as caller:
            assert caller.connect_ex(("127.0.0.1", port)) != 0
        taken.listen()
        socket.create_connection(("127.0.0.1", port), 5).close()
        if taken.family == socket.AF_INET6:
            socket.create_connection(("::1", port), 5).close()


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no IPv6 the port is taken for IPv4 alone."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with free_port() as port, listener.take(port) as taken:
        assert taken.getsockname() == ("0.0.0.0", port)


def test_a_taken_port() -> None:
    """A port at which somebody else listens is refused with its number."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match=f"SAGEMAKER_BIND_TO_PORT is {port}, "):
            listener.take(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters connections")
def test_newcomers_are_ignored() -> None:
    """Who has a connection is still accepted and read, who asks for one waits in vain."""
    with free_port() as port, listener.take(port) as taken:
        taken.listen()
        with socket.create_connection(("127.0.0.1", port), 5) as early:
            listener.turn_newcomers_away(taken)
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), 0.3)
            early.sendall(b"hello")
            accepted, _ = taken.accept()
            with accepted:
                assert accepted.recv(5) == b"hello"


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("workers", [1, 2, 256])
def test_nginx_takes_its_configuration(workers: int) -> None:
    """However many workers there are, nginx has room for them."""
    commands: list[list[str]] = []

    def keep(_: str, command: list[str], environ: object, **__: object) -> None:
        commands.append(command)

    settings = Settings.from_environ({"MODEL_SERVER_WORKERS": str(workers)})
    with free_port() as port, listener.take(port) as taken, RunFolder(os.environ) as folder:
        nginx = Nginx(str(shutil.which("nginx")), settings, os.environ, folder)
        nginx.start(cast(Children, SimpleNamespace(start=keep)), taken)
        [command] = commands
        done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
