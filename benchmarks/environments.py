# ruff: noqa: S603 - installs what subjects.py names
"""
The environments of the peers, each with its own packages and an estimator fitted in it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from subjects import NO_TELEMETRY, WORKERS, Subject

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
CONTAINER = HERE.parent / "container"
CACHE = Path(
    os.environ.get("BENCHMARK_CACHE") or Path.home() / ".cache/sagemaker-benchmarks"
).absolute()

# What the model work of every peer needs.
MODEL_PACKAGES = ("pandas", "scikit-learn")
INSTALL_S = 900
SETUP_S = 300


class Absent(Exception):
    """
    A subject that cannot be measured here; the message says why.
    """


def home(subject: Subject) -> Path:
    """
    Return the folder of the subject's environment; variants share one.
    """
    return CACHE / subject.environment


def python(subject: Subject) -> str:
    return str(home(subject) / "venv/bin/python") if subject.packages else sys.executable


def fill(command: tuple[str, ...], subject: Subject, **values: object) -> list[str]:
    """
    Replace what stands in braces in a command.
    """
    return [
        part.format(python=python(subject), home=home(subject), workers=WORKERS, **values)
        for part in command
    ]


def environ(subject: Subject, run: Path, port: int, model_root: Path) -> dict[str, str]:
    """
    Return a subject's variables: none of the caller's that set threads or Python up.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "OPENBLAS_", "MKL_", "PYTHON", "SAGEMAKER_", "MODEL_"))
    }
    folders = {"run": run, "home": home(subject)}
    own = {name: value.format(**folders) for name, value in subject.environ.items()}
    if subject.role in ("peer", "aside"):
        own["PYTHONPATH"] = f"{PEERS}:{CONTAINER}"
    common = {
        "PATH": os.pathsep.join([str(Path(python(subject)).parent), kept.get("PATH", "")]),
        "TMPDIR": str(run),
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "SAGEMAKER_BASE_DIR": str(model_root),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "MODEL_SERVER_WORKERS": str(WORKERS),
        "FARES_MODEL": str(model_file(subject)),
        "PYTHONUNBUFFERED": "1",
    }
    return kept | NO_TELEMETRY | common | own


def model_file(subject: Subject) -> Path:
    # Its own features need their own estimator.
    return home(subject) / f"{subject.environ.get('FARES_FEATURES', 'pandas')}.joblib"


def prepare(subject: Subject, trips: Path, model_root: Path) -> str:
    """
    Install and fit what is missing and return the versions in use; raises Absent.
    """
    folder = home(subject)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = " ".join((*subject.packages, *MODEL_PACKAGES))
    stamp = folder / "installed"
    if subject.packages and not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"installing {wanted}", flush=True)
        uv = _uv()
        _run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder / "venv")])
        install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python(subject)]
        _run([*install, *wanted.split()], INSTALL_S)
        stamp.write_text(wanted)
    variables = environ(subject, folder, 0, model_root)
    if subject.role in ("peer", "aside") and _older(model_file(subject), trips):
        fit = [python(subject), "fares.py", str(trips), str(model_file(subject))]
        _run(fit, SETUP_S, variables)
    if subject.setup:
        _run(fill(subject.setup, subject), SETUP_S, variables)
    return _versions(subject)


def _older(file: Path, than: Path) -> bool:
    return not file.is_file() or file.stat().st_mtime < than.stat().st_mtime


def _uv() -> str:
    program = CACHE / "uv/bin/uv"
    if not program.is_file():
        _run([sys.executable, "-m", "venv", str(CACHE / "uv")])
        _run([str(CACHE / "uv/bin/python"), "-m", "pip", "install", "-q", "uv"])
    return str(program)


def _versions(subject: Subject) -> str:
    names = [package.partition("[")[0].partition("<")[0] for package in subject.packages]
    code = (
        "import sys; from importlib.metadata import version as v; "
        "print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    own = ["flask", "gunicorn", "gevent", "numpy"]
    return _run([python(subject), "-c", code, *(names or own), *MODEL_PACKAGES]).strip()


def _run(
    command: list[str], seconds: float = SETUP_S, variables: Mapping[str, str] | None = None
) -> str:
    """
    Run a command among the peers and return what it prints; raises Absent with its last words.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=PEERS, env=variables, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"{Path(command[0]).name} took more than {seconds:g} s") from None
    except OSError as error:
        raise Absent(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        took = time.monotonic() - began
        raise Absent(f"{' '.join(command[:4])} failed after {took:.0f} s: {lines[-1][:300]}")
    return done.stdout
