# ruff: noqa: S603 - installs what subjects.py names
"""
The environments of the peers, the models that all of them load, and this project's guests.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from subjects import NO_TELEMETRY, ONE_THREAD, SAMPLE, WORKERS, Subject

HERE = Path(__file__).resolve().parent
PEERS, GUESTS, LOCKS = HERE / "peers", HERE / "guests", HERE / "requirements"
CONTAINER = HERE.parent / "container"
CACHE = Path(
    os.environ.get("BENCHMARK_CACHE") or Path.home() / ".cache/sagemaker-benchmarks"
).absolute()

# The models as all peers load them, and what is sent to them.
FITTED = CACHE / "models"
# What a peer shares with all others.
MODEL_PACKAGES = ("pandas", "scikit-learn", "lightgbm", "xgboost-cpu", "onnxruntime")
OWN_PACKAGES = ("flask", "gunicorn", "gevent", "numpy")
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
    return str(home(subject) / "venv/bin/python") if subject.lock else sys.executable


def fill(command: tuple[str, ...], subject: Subject, **values: object) -> list[str]:
    """
    Replace what stands in braces in a command.
    """
    return [
        part.format(python=python(subject), home=home(subject), workers=WORKERS, **values)
        for part in command
    ]


def environ(
    subject: Subject, run: Path, port: int, model_root: Path, models: Iterable[str] = (SAMPLE,)
) -> dict[str, str]:
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
    if subject.role == "peer":
        own["PYTHONPATH"] = str(PEERS)
    common = {
        "PATH": os.pathsep.join([str(Path(python(subject)).parent), kept.get("PATH", "")]),
        "TMPDIR": str(run),
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "SAGEMAKER_BASE_DIR": str(model_root),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "MODEL_SERVER_WORKERS": str(WORKERS),
        "BENCHMARK_FOLDER": str(FITTED),
        "BENCHMARK_MODELS": ",".join(models),
        "PYTHONUNBUFFERED": "1",
    }
    return kept | NO_TELEMETRY | common | own


def prepare(subject: Subject, model_root: Path) -> str:
    """
    Install what is missing and return the versions in use; raises Absent.
    """
    folder = home(subject)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    lock = LOCKS / f"{subject.lock}.txt"
    if subject.lock and not (stamp.is_file() and stamp.read_text() == lock.read_text()):
        print(f"installing {subject.lock}", flush=True)
        uv = _uv()
        _run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder / "venv")])
        install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python(subject)]
        _run([*install, "-r", str(lock)], INSTALL_S)
        shutil.copy(lock, stamp)
    if subject.setup:
        variables = environ(subject, folder, 0, model_root, subject.models[:1])
        _run(fill(subject.setup, subject), SETUP_S, variables)
    return _versions(subject)


def fit(models: Iterable[str], trips: Path | None = None) -> None:
    """
    Fit the models that are missing or older than what makes them, and write what is sent to them;
    the sample's is fitted on ``trips``. Raises Absent.
    """
    made_by = b"".join(
        (PEERS / f"{each}.py").read_bytes() for each in ("work", "fares", "onnx_file")
    )
    FITTED.mkdir(parents=True, exist_ok=True)
    for name in models:
        with trips.open("rb") if name == SAMPLE and trips else open(os.devnull, "rb") as data:
            digest = hashlib.sha256(made_by + data.read()).hexdigest()
        stamp = FITTED / f"{name}.made"
        if not (stamp.is_file() and stamp.read_text() == digest):
            variables = os.environ | ONE_THREAD | {"BENCHMARK_TRIPS": str(trips)}
            _run([sys.executable, "work.py", str(FITTED), name], SETUP_S, variables)
            stamp.write_text(digest)


def guest(subject: Subject, model: str) -> tuple[Path, Path]:
    """
    Return a copy of this project's program with the model's algorithm in place of the sample's, and
    a folder with the model, as SageMaker would have them.
    """
    name = subject.guests.get(model, f"{model}_model")
    folder = home(subject) / "guests" / name
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("taxi_fare", "__pycache__")
    program = shutil.copytree(CONTAINER, folder / "program", ignore=ignored)
    shutil.copytree(GUESTS / name, program / name)
    (folder / "ml/model").mkdir(parents=True)
    for file in (FITTED / model, FITTED / f"{model}.ubj"):
        if file.is_file():
            shutil.copy(file, folder / "ml/model")
    return program, folder / "ml"


def _uv() -> str:
    program = CACHE / "uv/bin/uv"
    if not program.is_file():
        _run([sys.executable, "-m", "venv", str(CACHE / "uv")])
        _run([str(CACHE / "uv/bin/python"), "-m", "pip", "install", "-q", "uv"])
    return str(program)


def _versions(subject: Subject) -> str:
    names = [*MODEL_PACKAGES, *OWN_PACKAGES]
    if subject.lock:
        asked = (LOCKS / f"{subject.lock}.in").read_text().splitlines()
        names = [line.partition("[")[0].partition("<")[0].split()[0] for line in asked if line]
    code = (
        "import sys; from importlib.metadata import version as v; "
        "print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    return _run([python(subject), "-c", code, *names]).strip()


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
