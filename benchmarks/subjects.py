"""
What is measured: this project, the empty route that is its limit, and what people would pick.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

WORKERS = 2
CSV = "text/csv"
JSON = "application/json"

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Nothing leaves the machine.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def as_csv(csv: str) -> bytes:
    return csv.encode()


def as_json_field(csv: str) -> bytes:
    return json.dumps({"csv": csv}).encode()


def as_tensor(csv: str) -> bytes:
    """
    Put the CSV into a request of the Open Inference Protocol.
    """
    tensor = {"name": "csv", "shape": [1], "datatype": "BYTES", "data": [csv]}
    return json.dumps({"inputs": [tensor]}).encode()


@dataclass(frozen=True)
class Subject:
    """
    One way to serve. In ``command`` and ``setup`` stand {python}, {port}, {run} (a folder of this
    start), {home} (a folder of its environment) and {workers}; they run in ``benchmarks/peers``.

    Without ``packages`` it runs in the project's own environment. ``setup`` runs once.
    """

    name: str
    label: str
    command: tuple[str, ...]
    role: Literal["ours", "limit", "peer", "aside"] = "peer"
    packages: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    ping: str = "/ping"
    path: str = "/invocations"
    body: Callable[[str], bytes] = as_csv
    content_type: str = CSV

    @property
    def environment(self) -> str:
        return self.packages[0].partition("[")[0] if self.packages else "own"


def one_thread(subject: Subject) -> Subject:
    """
    Give the same subject with one thread for each pool of threads in its libraries.
    """
    return replace(
        subject,
        name=f"{subject.name}-1",
        label=f"{subject.label}, one thread",
        environ={**subject.environ, **ONE_THREAD},
    )


CLASSIC = Subject("classic", "classic sample, gevent", ("{python}", "classic/serve.py"))
TUNED = {"CLASSIC_OPTIONS": "--worker-class sync --preload"}

FRAMEWORKS = (
    Subject(
        "fastapi",
        "FastAPI + uvicorn",
        ("{python}", "-m", "uvicorn", "fastapi_app:app", "--port", "{port}",
         "--workers", "{workers}"),
        packages=("fastapi", "uvicorn[standard]"),
    ),
    Subject(
        "mlserver",
        "MLServer",
        ("{python}", "mlserver_runtime.py", "{port}", "{run}"),
        # Its workers do not start with a later one.
        packages=("mlserver", "uvloop<0.22"),
        ping="/v2/models/fares/ready",
        path="/v2/models/fares/infer",
        body=as_tensor,
        content_type=JSON,
    ),
    Subject(
        "bentoml",
        "BentoML",
        ("{python}", "-m", "bentoml", "serve", "bentoml_service:Fares", "--host", "127.0.0.1",
         "--port", "{port}"),
        packages=("bentoml",),
        environ={"BENTOML_HOME": "{run}"},
        ping="/readyz",
        content_type="text/plain",
    ),
    Subject(
        "litserve",
        "LitServe",
        ("{python}", "litserve_app.py", "{port}"),
        packages=("litserve",),
        ping="/health",
        body=as_json_field,
        content_type=JSON,
    ),
    Subject(
        "mlflow",
        "MLflow",
        ("{python}", "-m", "mlflow", "models", "serve", "--model-uri", "{home}/mlflow",
         "--env-manager", "local", "--workers", "{workers}", "--host", "127.0.0.1",
         "--port", "{port}", "--timeout", "600"),
        packages=("mlflow",),
        setup=("{python}", "mlflow_model.py", "{home}/mlflow"),
    ),
    Subject(
        "ray",
        "Ray Serve",
        ("{python}", "ray_app.py", "{port}", "{run}"),
        packages=("ray[serve]",),
        ping="/-/healthz",
    ),
    Subject(
        "mms",
        "AWS inference toolkit on MMS",
        ("{python}", "mms_server.py", "{port}", "{run}"),
        packages=("multi-model-server", "sagemaker-inference", "setuptools<81"),
    ),
)  # fmt: skip

SUBJECTS = (
    Subject("ours", "this project", ("{python}", "../../container/serve"), role="ours"),
    Subject("before", "this project at another revision",
            ("{python}", "{home}/before/container/serve"), role="ours",
            environ={"SAGEMAKER_BASE_DIR": "{home}/before/ml"}),
    Subject("empty", "empty route, same nginx and gunicorn", ("{python}", "{home}/empty/serve"),
            role="limit", setup=("{python}", "empty_route.py", "{home}/empty")),
    Subject("guest", "this container, pandas and scikit-learn", ("{python}", "{home}/guest/serve"),
            role="aside", setup=("{python}", "guest.py", "{home}/guest")),
    CLASSIC,
    replace(one_thread(CLASSIC), name="tuned", label="classic sample, tuned",
            environ=ONE_THREAD | TUNED),
    replace(CLASSIC, name="tuned-numpy", label="the same, with this project's features",
            role="aside", environ=ONE_THREAD | TUNED | {"FARES_FEATURES": "numpy"}),
    *(variant for subject in FRAMEWORKS for variant in (subject, one_thread(subject))),
)  # fmt: skip
SHORT = ("ours", "empty", "classic")
