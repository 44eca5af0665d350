"""
How gunicorn is started: its command line and its environment; the rest is in gunicorn.conf.py.
"""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.resources import cpus
from sagemaker_runtime.serving.folder import METRICS_VARIABLE, RunFolder
from sagemaker_runtime.settings import JOBLIB, THREAD_POOLS, Settings, library_threads

# Longer than nginx keeps idle connections to the application (keepalive_timeout in nginx.conf).
PROXIED_KEEPALIVE_S = 75
# What gunicorn reads beside its options and what serve decides.
FOREIGN = (
    "GUNICORN_CMD_ARGS",
    "GUNICORN_FD",
    "GUNICORN_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "SCRIPT_NAME",
    "SENDFILE",
    "WEB_CONCURRENCY",
)


def command(settings: Settings, folder: RunFolder, listening: socket.socket | None) -> list[str]:
    """
    Return gunicorn's command line: with a socket for each worker behind nginx, or at ``listening``
    without nginx.
    """
    # The script, not "python -m gunicorn": ps, top and pgrep then show gunicorn.
    script = Path(sys.executable).with_name("gunicorn")
    line = [str(script), "--config", str(PROGRAM / "gunicorn.conf.py")]
    line += ["--worker-tmp-dir", str(folder.path)]
    if listening is None:
        for path in folder.sockets(settings.workers):
            line += ["--bind", f"unix:{path}"]
        line += ["--keep-alive", str(PROXIED_KEEPALIVE_S)]
    else:
        line += ["--bind", f"fd://{listening.fileno()}"]
    if folder.account:
        line += ["--user", folder.account[0], "--group", folder.account[1]]
    return line


def environment(
    settings: Settings, environ: Mapping[str, str], folder: RunFolder
) -> dict[str, str]:
    """
    Return the environment of gunicorn and its workers.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name not in FOREIGN and (value or name not in THREAD_POOLS)
    }
    return {
        # OpenMP is that of scikit-learn, LightGBM, XGBoost and torch; a forest takes joblib's.
        **dict.fromkeys((*THREAD_POOLS, JOBLIB), str(library_threads(settings, cpus()))),
        # Threads that wait in a loop for their next task take processors from other workers; those
        # that sleep at once, not after some microseconds, make a pipeline three times as slow.
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "1000",
        **kept,
        "TMPDIR": str(folder.temporary),
        METRICS_VARIABLE: str(folder.metrics),
    }
