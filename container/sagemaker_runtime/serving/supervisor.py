"""
Runs gunicorn and nginx: starts them in order, ends them in order, ends both when one dies.
"""

import argparse
import ctypes
import gc
import io
import logging
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging.config import dictConfig
from math import ceil
from pathlib import Path

from sagemaker_runtime import resources
from sagemaker_runtime.errors import (
    ChildDied,
    DrainTimeout,
    ExitCode,
    JobError,
    SettingError,
)
from sagemaker_runtime.logs import logging_config
from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.settings import Settings, preloads, render, show

# SageMaker kills the container 30 s after SIGTERM.
DRAIN_S = 25.0
# Once nginx has ended no request is left; gunicorn then needs a moment only.
END_S = 2.0
# timeout(1) and others signal a process and then its group: one wish that arrives twice.
REPEAT_S = 1.0
POLL_S = 0.01
PROGRESS_S = 30.0
# The app answers or gives up at the timeout and gunicorn replaces a stuck worker within the next
# seconds: nginx must still be waiting then.
PROXY_MARGIN_S = 10
# One nginx process feeds several Python workers; a second one on two processors made the slowest
# requests slower (99th percentile at 64 connections: 84 ms with two, 60 ms with one).
WORKERS_PER_NGINX = 4
# Longer than nginx keeps idle connections to the application (keepalive_timeout in nginx.conf).
PROXIED_KEEPALIVE_S = 75
# The kernel's limit for the path of a unix socket.
SOCKET_PATH_LENGTH = 107
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
# What serve has handlers for.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

logger = logging.getLogger(__name__)


def main(
    arguments: Sequence[str], environ: Mapping[str, str], drain_s: float = DRAIN_S
) -> ExitCode:
    """
    Serve until SIGTERM, or print what was asked for, and return how it went.
    """
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve the model over HTTP: GET /ping and POST /invocations.",
        epilog="settings are environment variables, by default:\n\n" + show({}),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--show-settings", action="store_true", help="print each setting in force and end"
    )
    options = parser.parse_args(arguments)
    try:
        if options.show_settings:
            print(show(environ), end="")
            return ExitCode.OK
        settings = Settings.from_environ(environ)
        dictConfig(logging_config(settings.log_level))
        Supervisor(settings, environ, drain_s).run()
    except SettingError as error:
        print(f"serve: {error}", file=sys.stderr)
        return error.exit_code
    except JobError as error:
        logger.error(str(error))
        return error.exit_code
    return ExitCode.OK


@dataclass
class Forked:
    """
    A child that runs no other program; has what is used here of ``subprocess.Popen``.
    """

    pid: int
    returncode: int | None = None


class Supervisor:
    """
    Serves until a signal comes or a child dies; use it once.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], drain_s: float) -> None:
        self._settings = settings
        self._environ = environ
        self._drain_s = drain_s
        self._nginx_path = shutil.which("nginx", path=environ.get("PATH"))
        self._pid = os.getpid()
        self._began = time.monotonic()
        self._children: dict[str, Forked | subprocess.Popen[bytes]] = {}
        self._signals: list[tuple[int, float]] = []
        self._wakeup = -1
        self._nginx_log = -1
        self._unfinished_line = b""

    def run(self) -> None:
        """
        Raises SettingError, ChildDied or DrainTimeout; returns after a stop in good order.
        """
        _check_port(self._settings.port)
        # Not a TemporaryDirectory: forked processes would remove that at their end.
        run = Path(tempfile.mkdtemp(prefix="serve-"))
        try:
            self._record_signals()
            self._start(run)
            while not self._signals:
                self._turn(PROGRESS_S)
                self._check_children()
            self._drain()
        finally:
            if os.getpid() == self._pid:  # gunicorn, forked from here, ends by way of here
                try:
                    self._kill()
                finally:
                    shutil.rmtree(run, ignore_errors=True)
        logger.info("stopped")

    def _start(self, run: Path) -> None:
        """
        Start gunicorn, and nginx once the model is loaded; return when the application answers, or
        early on a signal.
        """
        account = _hand_over(run)
        port = self._settings.port
        if self._nginx_path:
            address: str | tuple[str, int] = str(self._sockets(run)[-1])
            if len(str(address)) > SOCKET_PATH_LENGTH:
                raise SettingError(
                    f"TMPDIR is {str(run.parent)!r}, too long a path for a unix socket; "
                    "expected a short one, such as /tmp."
                )
        else:
            address = ("127.0.0.1", port)
            logger.info("nginx is not on PATH: gunicorn itself listens on port %s", port)
        self._fork_gunicorn(run, account)
        if self._nginx_path:  # while gunicorn loads the application
            options = self._configure_nginx(run, account)
            # Workers that have the model answer at once: nginx can start as soon as they listen.
            listening = self._sockets(run)[-1].is_socket
            if not self._wait_until(
                listening if preloads(self._environ) else lambda: _answers(address)
            ):
                return
            self._start_nginx(options, run, account)
        if self._wait_until(lambda: _answers(address)):
            logger.info(
                "serving on port %s with %s workers after %.2f s",
                port,
                self._settings.workers,
                time.monotonic() - self._began,
            )

    def _wait_until(self, condition: Callable[[], bool]) -> bool:
        """
        Wait until the condition holds, and log that it takes long; return False when a signal comes
        first.
        """
        told = self._began
        while not condition():
            self._turn(POLL_S)
            if self._signals:
                return False
            self._check_children()
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                logger.info("the application is still starting after %.0f s", told - self._began)
        return True

    def _sockets(self, run: Path) -> list[Path]:
        """
        Return the paths where nginx finds the workers, one for each.
        """
        return [run / f"worker-{number}.sock" for number in range(self._settings.workers)]

    def _gunicorn_command(self, run: Path, account: tuple[str, str] | None) -> list[str]:
        command = ["gunicorn", "--config", str(PROGRAM / "gunicorn.conf.py")]
        command += ["--worker-tmp-dir", str(run)]
        if self._nginx_path:
            for path in self._sockets(run):
                command += ["--bind", f"unix:{path}"]
            command += ["--keep-alive", str(PROXIED_KEEPALIVE_S)]
        if account:
            command += ["--user", account[0], "--group", account[1]]
        return command

    def _configure_nginx(self, run: Path, account: tuple[str, str] | None) -> list[str]:
        """
        Write nginx.conf, let nginx check it and return the options that name it.
        """
        user = f"user {' '.join(account or ('root', 'root'))};" if os.geteuid() == 0 else ""
        values = {
            "user": user,
            "nginx_workers": ceil(self._settings.workers / WORKERS_PER_NGINX),
            "run": run,
            # Never left out for a while after a failure: gunicorn replaces a worker at once.
            "servers": " ".join(f"server unix:{path} max_fails=0;" for path in self._sockets(run)),
            "port": self._settings.port,
            "max_payload_mb": self._settings.max_payload_mb,
            "timeout_s": self._settings.timeout_s,
            "proxy_timeout_s": self._settings.timeout_s + PROXY_MARGIN_S,
        }
        file, template = run / "nginx.conf", (PROGRAM / "nginx.conf").read_text()
        # A check listens too; at the port it would take requests that nobody answers.
        file.write_text(render(template, values | {"port": f"unix:{run}/check.sock"}))
        # Opened for writing too: nginx then never waits for a reader nor meets a closed pipe.
        os.mkfifo(run / "nginx.log")
        self._nginx_log = os.open(run / "nginx.log", os.O_RDWR | os.O_NONBLOCK)
        options = ["-e", "stderr", "-p", str(run), "-c", str(file)]
        check = subprocess.run(  # noqa: S603 - nginx as found on PATH
            [str(self._nginx_path), "-t", "-q", *options], capture_output=True, text=True
        )
        if check.returncode != 0:
            raise ChildDied(f"nginx refuses its configuration: {check.stderr.strip()}")
        file.write_text(render(template, values))
        return options

    def _fork_gunicorn(self, run: Path, account: tuple[str, str] | None) -> None:
        """
        Start gunicorn as a copy of this process: what serve has imported it need not import again,
        a sixth of the time to the first answer.
        """
        # None may reach the copy while it still has the handlers of this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)  # see _start_nginx
            signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if pid:
            self._children["gunicorn"] = Forked(pid)
            os.setpgid(pid, 0)  # here too: whichever comes first
            return
        gc.disable()  # what is imported stays; post_fork in gunicorn.conf.py enables it again
        if sys.platform == "linux":
            _end_with_parent()
            LIBC.prctl(PR_SET_NAME, b"gunicorn")  # what ps, top and pgrep show
        if account:
            os.setgroups([])  # the workers would keep root's further groups
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(PROGRAM)
        os.environ.update(self._environ, TMPDIR=str(run))
        tempfile.tempdir = None  # or it would be the one that TMPDIR named before
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        sys.argv = self._gunicorn_command(run, account)
        from gunicorn.app import wsgiapp

        try:
            sys.exit(wsgiapp.run())
        except Exception:  # noqa: BLE001 - main would take it for one of serve's own
            traceback.print_exc()
            sys.exit(ExitCode.UNEXPECTED)

    def _start_nginx(self, options: list[str], run: Path, account: tuple[str, str] | None) -> None:
        self._children["nginx"] = subprocess.Popen(  # noqa: S603 - nginx as found on PATH
            [str(self._nginx_path), *options],
            cwd=PROGRAM,
            env={**self._environ, "TMPDIR": str(run)},
            stdin=subprocess.DEVNULL,
            extra_groups=[] if account else None,
            # Ctrl-C in a terminal reaches serve alone, which then ends them in order.
            process_group=0,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    def _turn(self, seconds: float) -> None:
        """
        Wait until a signal comes, a child ends or the time is up; print what nginx logged.
        """
        readable = [fd for fd in (self._wakeup, self._nginx_log) if fd >= 0]
        ready, _, _ = select.select(readable, [], [], max(0.0, seconds))
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)
        if self._nginx_log in ready:
            self._print_nginx_log()
        self._reap()

    def _print_nginx_log(self) -> None:
        *lines, self._unfinished_line = (
            self._unfinished_line + os.read(self._nginx_log, 65536)
        ).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                print(line.decode(errors="replace"), file=sys.stderr, flush=True)
            else:
                logger.error("nginx: %s", line.decode(errors="replace"))

    def _reap(self) -> None:
        """
        Collect every ended process: as process 1 of a container serve inherits orphans.
        """
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for child in self._children.values():
                    if child.pid == pid:
                        child.returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return

    def _check_children(self) -> None:
        for name, child in self._children.items():
            if child.returncode is not None:
                code = child.returncode
                how = (
                    f"ended with exit code {code}"
                    if code >= 0
                    else f"was killed by {signal.Signals(-code).name}"
                )
                raise ChildDied(
                    f"{name} {how} although nobody asked it to; the lines above say why. "
                    "The rest was stopped."
                )

    def _drain(self) -> None:
        """
        Refuse new requests and finish the running ones; raises DrainTimeout if some do not end.
        """
        name = signal.Signals(self._signals[0][0]).name
        logger.info("%s: finishing the running requests", name)
        deadline = time.monotonic() + self._drain_s
        if "nginx" in self._children:
            drained = self._end("nginx", signal.SIGQUIT, deadline)
            if drained:
                self._end("gunicorn", signal.SIGQUIT, time.monotonic() + END_S)
        else:
            drained = self._end("gunicorn", signal.SIGTERM, deadline)
        if self._is_hurried():
            raise DrainTimeout("a second signal came: stopped at once")
        if not drained:
            raise DrainTimeout(
                f"a request still ran {self._drain_s:g} s after {name} and was cut off; "
                "requests must end within that time, send less in each"
            )

    def _end(self, name: str, number: signal.Signals, deadline: float) -> bool:
        """
        Signal a child and return whether it ended before the deadline or a second signal.
        """
        child = self._children[name]
        if child.returncode is None:
            os.kill(child.pid, number)
        while child.returncode is None:
            if time.monotonic() >= deadline or self._is_hurried():
                return False
            self._turn(deadline - time.monotonic())
        return True

    def _is_hurried(self) -> bool:
        """
        Tell whether a further signal came later than the first one's echo.
        """
        times = [at for _, at in self._signals]
        return times[-1] - times[0] > REPEAT_S

    def _kill(self) -> None:
        """
        Leave no process behind, nor workers whose master died.
        """
        # nginx first: it would report, now and then, that the workers behind it fail.
        for child in reversed(self._children.values()):
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline and any(
            child.returncode is None for child in self._children.values()
        ):
            self._turn(POLL_S)

    def _record_signals(self) -> None:
        """
        Record SIGTERM and SIGINT; each signal also ends the wait in ``_turn``.
        """
        self._wakeup, writer = os.pipe()
        for end in (self._wakeup, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, lambda number, frame: self._signals.append((number, time.monotonic()))
            )
        signal.signal(signal.SIGCHLD, lambda number, frame: None)


def _check_port(port: int) -> None:
    """
    Raise SettingError when the port cannot be listened on: nginx would only try for seconds.
    """
    try:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("0.0.0.0", port))  # noqa: S104 - the platform connects from outside
    except OSError as error:
        raise SettingError(
            f"SAGEMAKER_BIND_TO_PORT is {port}, where nothing can listen now: {error.strerror}. "
            "Stop what uses the port or choose another, such as 8081."
        ) from error


def _hand_over(run: Path) -> tuple[str, str] | None:
    """
    Give the run folder to the workers' account and return that, None when they keep ours.
    """
    account = resources.account()
    if account is None:
        return None
    needed = [folder / "x" for folder in (PROGRAM, Path(sys.prefix), Path(sys.base_prefix))]
    for folder in {parent for path in needed for parent in path.resolve().parents}:
        if not folder.stat().st_mode & stat.S_IXOTH:
            logger.info("the workers stay root: %s may not enter %s", account[0], folder)
            return None
    try:
        shutil.chown(run, *account)
    except OSError as error:
        logger.info("the workers stay root, which may not change to %s: %s", account[0], error)
        return None
    return account


def _answers(address: str | tuple[str, int]) -> bool:
    """
    Tell whether the application answers a ping, with whatever status.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.settimeout(1)
            probe.connect(address)
            probe.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            return probe.recv(5) == b"HTTP/"
    except OSError:
        return False


LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """
    Have the kernel send SIGTERM when serve is killed, so that no child goes on alone.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
