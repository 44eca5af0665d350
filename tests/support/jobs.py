"""
Training jobs for tests: ``train`` as SageMaker starts it, a process with a tree of files.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def write_hyperparameters(root: Path, **values: object) -> None:
    path = root / "input/config/hyperparameters.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: str(value) for name, value in values.items()}))


def stopped(
    program: Path,
    root: Path,
    *,
    at: str,
    within_s: float,
    number: signal.Signals = signal.SIGTERM,
    **environ: str,
) -> tuple[int, str]:
    """
    Send a signal to a job when it prints ``at`` and a line to its stdin, and return its exit code
    and what it prints from then on; fails when it takes longer than ``within_s``.
    """
    with subprocess.Popen(
        [sys.executable, program / "train"],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(root)} | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while at not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        log, _ = process.communicate("x", timeout=within_s)
    return process.returncode, log


def train(program: Path, root: Path, *arguments: str, **environ: str):
    return subprocess.run(
        [sys.executable, program / "train", *arguments],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(root)} | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
