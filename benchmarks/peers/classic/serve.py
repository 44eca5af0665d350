# ruff: noqa: S603, S607 - starts nginx and gunicorn as found on PATH
"""
Starts nginx and gunicorn side by side and waits for either to end, as the classic sample does.
"""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUN = Path(os.environ["TMPDIR"])

configuration = (HERE / "nginx.conf").read_text().replace("RUN", str(RUN))
(RUN / "nginx.conf").write_text(configuration.replace("PORT", os.environ["PORT"]))
options = os.environ.get("CLASSIC_OPTIONS", "--worker-class gevent --access-logfile -")

nginx = subprocess.Popen(["nginx", "-e", "stderr", "-p", str(RUN), "-c", str(RUN / "nginx.conf")])
gunicorn = subprocess.Popen(
    [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--bind", f"unix:{RUN}/gunicorn.sock",
     "--workers", os.environ["WORKERS"], "--timeout", "600", "--no-control-socket",
     *shlex.split(options), os.environ.get("CLASSIC_APPLICATION", "wsgi:app")],
    cwd=RUN,  # no gunicorn.conf.py of anybody else lies there
)  # fmt: skip


def stop(number: int, frame: object) -> None:
    nginx.send_signal(signal.SIGQUIT)
    gunicorn.send_signal(signal.SIGTERM)


signal.signal(signal.SIGTERM, stop)
os.wait()
stop(0, None)
gunicorn.wait()
nginx.wait()
