"""
The order of things: gunicorn loads the model, nginx opens the port, both end when one dies, and
after a signal they end so that no request is lost.
"""

import logging
import signal
import socket
import time
from collections.abc import Mapping
from logging.config import dictConfig

from sagemaker_runtime import resources
from sagemaker_runtime.errors import ChildDied, DrainTimeout, ExitCode, JobError
from sagemaker_runtime.logs import logging_config
from sagemaker_runtime.serving import listener
from sagemaker_runtime.serving.children import Children, meaning
from sagemaker_runtime.serving.folder import RunFolder
from sagemaker_runtime.serving.nginx import Nginx
from sagemaker_runtime.serving.signals import Signals
from sagemaker_runtime.serving.waiting import Waiting
from sagemaker_runtime.settings import Settings, unknown

# After a signal callers go on being answered for so long, which is time to see that pings fail and
# that answers close the connection.
CLOSING_S = 1.0
# Time for connections that are being made to be accepted.
SETTLE_S = 0.1
# Once nginx has ended no request is left; gunicorn then needs a moment only.
END_S = 2.0
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
    ) -> None:
        dictConfig(logging_config(settings.log_level))
        self._settings = settings
        self._folder = folder
        self._listening = listening
        self._children = children
        self._signals = signals
        self._kills = resources.oom_kills()
        path = children.find("nginx")
        self._nginx = Nginx(path, settings, environ, folder) if path else None
        self._waiting = Waiting(signals, children, self._nginx)
        for sentence in unknown(environ):
            logger.warning(sentence)
        if folder.note:
            logger.info(folder.note)
        if not path:
            logger.info("nginx is not on PATH: gunicorn itself listens on port %s", settings.port)

    def run(self, drain_s: float) -> ExitCode:
        """
        Return how it went, after no process is left; ``drain_s`` is the time to finish requests.
        """
        try:
            self._start()
            while not self._signals.first:
                self._waiting.turn(PROGRESS_S)
                self._check_children()
            self._drain(self._signals.first, drain_s)
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
        if self._nginx:
            # Workers that have the model answer at once, the last one to start last.
            if not self._wait_for(str(self._folder.sockets(self._settings.workers)[-1])):
                return
            self._listening.listen(listener.BACKLOG)
            self._nginx.start(self._children, self._listening)
        if self._wait_for(("127.0.0.1", self._settings.port)):
            if self._nginx:
                self._nginx.has_started()
            logger.info(
                "serving on port %s with %s after %.2f s",
                self._settings.port,
                resources.workers_in_words(self._settings.workers),
                self._waiting.seconds,
            )

    def _wait_for(self, address: str | tuple[str, int]) -> bool:
        """
        Wait until the application answers, and log that it takes long; return False when a signal
        comes first.
        """
        told = 0.0
        while not self._waiting.is_answered(address):
            if self._signals.first:
                return False
            self._check_children()
            if self._waiting.seconds - told >= PROGRESS_S:
                told = self._waiting.seconds
                logger.info("the application is still starting after %.0f s", told)
        return True

    def _check_children(self) -> None:
        """
        Raise ChildDied for one that has ended.
        """
        for name, code in self._children.ended():
            if name == "nginx" and code > 0 and self._nginx and not self._nginx.serves:
                raise ChildDied(f"nginx refuses its configuration: {self._nginx.complaint()}")
            what = f"{meaning(name, code)} unexpectedly"
            if code == -signal.SIGKILL:
                why = resources.out_of_memory(self._settings.workers, self._kills)
                raise ChildDied(f"{what}. {why} The rest was stopped.")
            raise ChildDied(f"{what}; the lines above say why. The rest was stopped.")

    def _drain(self, name: str, drain_s: float) -> None:
        """
        Answer for a moment longer, then turn new requests away and finish the running ones; raises
        DrainTimeout if some do not end.
        """
        logger.info("%s: finishing the running requests", name)
        deadline = time.monotonic() + drain_s
        drained = True
        if "nginx" in self._children:
            self._folder.stopping.touch()
            self._waiting.pause(min(CLOSING_S, drain_s / 2))
            self._close_port()
            drained = self._waiting.end("nginx", signal.SIGQUIT, deadline)
        elif not self._nginx:
            self._close_port()
            drained = self._waiting.end("gunicorn", signal.SIGTERM, deadline)
        if drained and self._nginx:  # nobody waits for an answer of gunicorn any more
            self._waiting.end("gunicorn", signal.SIGQUIT, time.monotonic() + END_S)
        if self._signals.hurried:
            raise DrainTimeout("a second signal came: stopped at once")
        if not drained:
            raise DrainTimeout(
                f"a request still ran {drain_s:g} s after {name} and was cut off; "
                "requests must end within that time, send less in each"
            )

    def _close_port(self) -> None:
        """
        Let nobody in any more and leave the socket to the child that accepts there.
        """
        listener.turn_newcomers_away(self._listening)
        self._waiting.pause(SETTLE_S)
        self._listening.close()
