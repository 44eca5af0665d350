"""
The programs that ``serve`` starts: started, collected, signalled, killed with all their processes.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.serving.folder import RunFolder

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# Time for killed processes to be gone.
END_S = 2.0
LIBC = ctypes.CDLL(None)


class Children:
    """
    Starts programs in the program's folder, each in its own process group.
    """

    def __init__(self, environ: Mapping[str, str], folder: RunFolder) -> None:
        self._path = environ.get("PATH")
        self._drops_groups = folder.account is not None
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._started

    def find(self, name: str) -> str | None:
        """
        Return the path of a program, None when it is not on PATH.
        """
        return shutil.which(name, path=self._path)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        pass_fds: Sequence[int] = (),
        stderr: int | None = None,
    ) -> None:
        """
        Start a program; raises OSError when it cannot be run.
        """
        self._started[name] = subprocess.Popen(  # noqa: S603 - gunicorn and nginx
            command,
            cwd=PROGRAM,
            env=environ,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=pass_fds,
            # Workers of another account would keep root's further groups.
            extra_groups=[] if self._drops_groups else None,
            # Ctrl-C in a terminal reaches serve alone, which then ends them in order.
            process_group=0,
            preexec_fn=_bind_to_parent if sys.platform == "linux" else None,
        )

    def reap(self) -> None:
        """
        Collect every ended process: as process 1 of a container serve inherits orphans.
        """
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for child in self._started.values():
                    if child.pid == pid:
                        child.returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return

    def ended(self) -> list[tuple[str, int]]:
        """
        Return name and exit code of those that have ended; minus the signal that killed them.
        """
        return [
            (name, child.returncode)
            for name, child in self._started.items()
            if child.returncode is not None
        ]

    def runs(self, name: str) -> bool:
        """
        Tell whether a program was started and has not ended.
        """
        return name in self._started and self._started[name].returncode is None

    def signal(self, name: str, number: signal.Signals) -> None:
        """
        Signal a program unless it has ended.
        """
        if self.runs(name):
            os.kill(self._started[name].pid, number)

    def kill(self) -> None:
        """
        Leave no process behind, nor workers whose master died.
        """
        # nginx first: it would report, now and then, that the workers behind it fail.
        for child in reversed(self._started.values()):
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + END_S
        self.reap()
        while time.monotonic() < deadline and any(map(self.runs, self._started)):
            time.sleep(0.001)
            self.reap()


def meaning(name: str, code: int) -> str:
    """
    Say how a program ended, such as "gunicorn was killed by SIGKILL".
    """
    if code >= 0:
        return f"{name} ended with exit code {code}"
    return f"{name} was killed by {signal.Signals(-code).name}"


def _bind_to_parent() -> None:
    """
    Have the kernel send SIGTERM when serve is killed, so that no child goes on alone, and give no
    program that it runs more rights, whatever setuid bits there are.
    """
    end_with_parent(signal.SIGTERM)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def end_with_parent(number: signal.Signals) -> None:
    """
    Have the kernel send this process a signal when the one that started it has ended.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, number)
