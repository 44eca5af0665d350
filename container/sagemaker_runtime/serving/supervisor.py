"""
The order of things: gunicorn loads the model, nginx opens the port, both end when one dies, and
after a signal they end so that no request is lost.
"""

import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from logging.config import dictConfig

from sagemaker_runtime import resources
from sagemaker_runtime.errors import ChildDied, DrainTimeout, ExitCode, JobError
from sagemaker_runtime.logs import logging_config
from sagemaker_runtime.serving import listener
from sagemaker_runtime.serving.children import Children, meaning
from sagemaker_runtime.serving.folder import RunFolder
from sagemaker_runtime.serving.nginx import Nginx
from sagemaker_runtime.serving.signals import Signals
from sagemaker_runtime.settings import Settings, unknown

# After a signal callers go on being answered for so long, which is time to see that pings fail and
# that answers close the connection.
CLOSING_S = 1.0
# Time for connections that are being made to be accepted.
SETTLE_S = 0.1
# Once nginx has ended no request is left; gunicorn then needs a moment only.
END_S = 2.0
POLL_S = 0.005
PROGRESS_S = 30.0

logger = logging.getLogger(__name__)


class Supervisor:
    """
    Serves until a signal comes or a child dies, beginning with a gunicorn that was just started;
    use it once.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        folder: RunFolder,
        listening: socket.socket,
        children: Children,
        signals: Signals,
        drain_s: float,
    ) -> None:
        dictConfig(logging_config(settings.log_level))
        self._settings = settings
        self._folder = folder
        self._listening = listening
        self._children = children
        self._signals = signals
        self._drain_s = drain_s
        self._began = time.monotonic()
        self._kills = resources.oom_kills()
        path = children.find("nginx")
        self._nginx = Nginx(path, settings, environ, folder) if path else None
        for sentence in unknown(environ):
            logger.warning(sentence)
        if folder.note:
            logger.info(folder.note)
        if not path:
            logger.info("nginx is not on PATH: gunicorn itself listens on port %s", settings.port)

    def run(self) -> ExitCode:
        """
        Return how it went, after no process is left.
        """
        try:
            self._start()
            while not self._signals.first:
                self._turn(PROGRESS_S)
                self._check_children()
            self._drain(self._signals.first)
        except JobError as error:
            logger.error(str(error))
            return error.exit_code
        finally:
            self._children.kill()
            if self._nginx:
                self._nginx.print_log()
        logger.info("stopped")
        return ExitCode.OK

    def _start(self) -> None:
        """
        Start nginx once the application answers; return when the port answers, or early on a
        signal.
        """
        port = ("127.0.0.1", self._settings.port)
        if self._nginx:
            application = str(self._folder.sockets(self._settings.workers)[-1])
            if not self._wait_until(lambda: self._answers(application)):
                return
            self._listening.listen(listener.BACKLOG)
            self._nginx.start(self._children, self._listening)
        if self._wait_until(lambda: self._answers(port)):
            if self._nginx:
                self._nginx.has_started()
            logger.info(
                "serving on port %s with %s after %.2f s",
                self._settings.port,
                resources.workers_in_words(self._settings.workers),
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
            if self._signals.first:
                return False
            self._check_children()
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                logger.info("the application is still starting after %.0f s", told - self._began)
        return True

    def _turn(self, seconds: float, readable: Sequence[int] = ()) -> bool:
        """
        Wait until a signal comes, a child ends, ``readable`` can be read or the time is up; print
        what nginx logged and tell whether it was ``readable``.
        """
        log = [self._nginx.log] if self._nginx else []
        ready = self._signals.wait(seconds, [*readable, *log])
        if self._nginx and self._nginx.log in ready:
            self._nginx.print_log()
        self._children.reap()
        return any(each in readable for each in ready)

    def _answers(self, address: str | tuple[str, int]) -> bool:
        """
        Tell whether the application answers a ping within a second, with whatever status.
        """
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.settimeout(1)
                probe.connect(address)
                probe.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                return self._turn(1, [probe.fileno()]) and probe.recv(5) == b"HTTP/"
        except OSError:
            return False

    def _check_children(self) -> None:
        """
        Raise ChildDied for one that has ended.
        """
        for name, code in self._children.ended():
            if name == "nginx" and self._nginx and not self._nginx.serves:
                raise ChildDied(f"nginx refuses its configuration: {self._nginx.complaint()}")
            what = f"{meaning(name, code)} although nobody asked it to"
            if code == -signal.SIGKILL:
                why = resources.out_of_memory(self._settings.workers, self._kills)
                raise ChildDied(f"{what}. {why} The rest was stopped.")
            raise ChildDied(f"{what}; the lines above say why. The rest was stopped.")

    def _drain(self, name: str) -> None:
        """
        Answer for a moment longer, then turn new requests away and finish the running ones; raises
        DrainTimeout if some do not end.
        """
        logger.info("%s: finishing the running requests", name)
        deadline = time.monotonic() + self._drain_s
        drained = True
        if "nginx" in self._children:
            self._folder.stopping.touch()
            self._pause(min(CLOSING_S, self._drain_s / 2))
            self._close_port()
            drained = self._end("nginx", signal.SIGQUIT, deadline)
        elif not self._nginx:
            self._close_port()
            drained = self._end("gunicorn", signal.SIGTERM, deadline)
        if drained and self._nginx:  # nobody waits for an answer of gunicorn any more
            self._end("gunicorn", signal.SIGQUIT, time.monotonic() + END_S)
        if self._signals.hurried:
            raise DrainTimeout("a second signal came: stopped at once")
        if not drained:
            raise DrainTimeout(
                f"a request still ran {self._drain_s:g} s after {name} and was cut off; "
                "requests must end within that time, send less in each"
            )

    def _close_port(self) -> None:
        """
        Let nobody in any more and leave the socket to the child that accepts there.
        """
        listener.turn_newcomers_away(self._listening)
        self._pause(SETTLE_S)
        self._listening.close()

    def _pause(self, seconds: float) -> None:
        """
        Go on as usual for a while; less after a second signal.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._signals.hurried:
            self._turn(until - time.monotonic())

    def _end(self, name: str, number: signal.Signals, deadline: float) -> bool:
        """
        Signal a child and return whether it ended before the deadline or a second signal.
        """
        self._children.signal(name, number)
        while self._children.runs(name):
            if time.monotonic() >= deadline or self._signals.hurried:
                return False
            self._turn(deadline - time.monotonic())
        return True
