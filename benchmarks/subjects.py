"""
What is measured: this project, the empty route that is its limit, and what people would pick.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

WORKERS = 2
CSV = "text/csv"
JSON = "application/json"
NPY = "application/x-npy"

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BATCHING = {"BATCHING": "1"}
# Nothing leaves the machine.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# The models that people bring, and the sample's.
PEOPLE = ("pipeline", "lightgbm", "xgboost", "image", "text", "waiting")
SAMPLE = "fares"


@dataclass(frozen=True)
class Body:
    """
    What a request holds, for the model of this name.
    """

    model: str
    content: bytes
    content_type: str = CSV

    @property
    def text(self) -> str:
        """
        The content as it can stand in JSON.
        """
        if self.content_type == NPY:
            return base64.b64encode(self.content).decode()
        return self.content.decode()


def as_it_is(body: Body) -> bytes:
    return body.content


def as_fields(body: Body) -> bytes:
    return json.dumps({"model": body.model, "body": body.text}).encode()


def as_question(body: Body) -> bytes:
    return json.dumps({"question": {"model": body.model, "body": body.text}}).encode()


def as_questions(body: Body) -> bytes:
    return json.dumps({"questions": [{"model": body.model, "body": body.text}]}).encode()


def as_records(body: Body) -> bytes:
    records = [{"model": body.model, "body": body.text}]
    return json.dumps({"dataframe_records": records}).encode()


def as_tensor(body: Body) -> bytes:
    """
    Put the body into a request of the Open Inference Protocol.
    """
    tensor = {"name": "body", "shape": [1], "datatype": "BYTES", "data": [body.text]}
    return json.dumps({"inputs": [tensor]}).encode()


@dataclass(frozen=True)
class Subject:
    """
    One way to serve. In ``command`` and ``setup`` stand {python}, {port}, {run} (a folder of this
    start), {home} (a folder of its environment), {guest} (that of this project with the model's
    algorithm) and {workers}; they run in ``benchmarks/peers``.

    Without ``lock`` (``requirements/LOCK.txt``) it runs in the project's own environment. ``setup``
    runs once. A peer serves all ``models`` from one start, this project one from each; ``guests``
    has the folder in guests/ for those whose algorithm is not called as the model. One that
    ``polls`` takes processor time while nobody asks it.
    """

    name: str
    label: str
    command: tuple[str, ...]
    role: Literal["ours", "limit", "peer"] = "peer"
    lock: str = ""
    setup: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    ping: str = "/ping"
    path: str = "/invocations/{model}"
    body: Callable[[Body], bytes] = as_it_is
    content_type: str = ""
    models: tuple[str, ...] = (*PEOPLE, SAMPLE)
    guests: Mapping[str, str] = field(default_factory=dict)
    polls: bool = False

    @property
    def environment(self) -> str:
        return self.lock or "own"

    @property
    def batches(self) -> bool:
        """
        Whether its own batching is on.
        """
        return self.role == "peer" and self.environ.items() >= BATCHING.items()

    @property
    def family(self) -> str:
        """
        Its label without the setting: what the picture has one mark for.
        """
        return self.label.partition(",")[0]


def one_thread(subject: Subject) -> Subject:
    """
    Give the same subject with one thread for each pool of threads in its libraries.
    """
    return replace(subject, environ={**subject.environ, **ONE_THREAD})


def own_threads(subject: Subject) -> Subject:
    """
    Give the same subject with its libraries' own choice of threads, for the sample's large bodies.
    """
    return replace(
        subject,
        name=f"{subject.name}-threads",
        label=f"{subject.label}, its libraries' own threads",
        models=(SAMPLE,),
    )


def batching(subject: Subject, **changes: Any) -> Subject:
    """
    Give the same subject with its own batching turned on.
    """
    return replace(
        subject,
        name=f"{subject.name}-batching",
        label=f"{subject.label}, batching",
        environ={**subject.environ, **ONE_THREAD, **BATCHING},
        models=PEOPLE,
        **changes,
    )


CLASSIC = Subject("classic", "classic sample, gevent", ("{python}", "classic/serve.py"))
TUNED = {"CLASSIC_OPTIONS": "--worker-class sync --preload --access-logfile -"}
FLASK = Subject(
    "flask",
    "naive Flask under gunicorn",
    ("{python}", "-m", "gunicorn", "--workers", "{workers}", "--bind", "127.0.0.1:{port}",
     "--timeout", "600", "--no-control-socket", "flask_app:app"),
)  # fmt: skip
FASTAPI = Subject(
    "fastapi",
    "FastAPI + uvicorn",
    ("{python}", "-m", "uvicorn", "fastapi_app:app", "--port", "{port}",
     "--workers", "{workers}"),
    lock="fastapi",
)  # fmt: skip
MOSEC = Subject(
    "mosec",
    "mosec",
    ("{python}", "mosec_app.py", "--address", "127.0.0.1", "--port", "{port}",
     "--timeout", "600000"),
    lock="mosec",
    ping="/metrics",
    path="/inference",
    body=as_fields,
    content_type=JSON,
)  # fmt: skip
MLSERVER = Subject(
    "mlserver",
    "MLServer",
    ("{python}", "mlserver_runtime.py", "{port}", "{run}"),
    lock="mlserver",
    ping="/v2/health/ready",
    path="/v2/models/{model}/infer",
    body=as_tensor,
    content_type=JSON,
)
BENTOML = Subject(
    "bentoml",
    "BentoML",
    ("{python}", "-m", "bentoml", "serve", "bentoml_service:People", "--host", "127.0.0.1",
     "--port", "{port}"),
    lock="bentoml",
    environ={"BENTOML_HOME": "{run}"},
    ping="/readyz",
    path="/invocations",
    body=as_question,
    content_type=JSON,
)  # fmt: skip
LITSERVE = Subject(
    "litserve",
    "LitServe",
    ("{python}", "litserve_app.py", "{port}"),
    lock="litserve",
    polls=True,
    ping="/health",
    path="/invocations",
    body=as_fields,
    content_type=JSON,
)
RAY = Subject(
    "ray",
    "Ray Serve",
    ("{python}", "ray_app.py", "{port}", "{run}"),
    lock="ray",
    polls=True,
    ping="/-/healthz",
)
MLFLOW = Subject(
    "mlflow",
    "MLflow",
    ("{python}", "-m", "mlflow", "models", "serve", "--model-uri", "{home}/mlflow",
     "--env-manager", "local", "--workers", "{workers}", "--host", "127.0.0.1",
     "--port", "{port}", "--timeout", "600"),
    lock="mlflow",
    setup=("{python}", "mlflow_model.py", "{home}/mlflow"),
    path="/invocations",
    body=as_records,
    content_type=JSON,
)  # fmt: skip
MMS = Subject(
    "mms",
    "AWS inference toolkit on MMS",
    ("{python}", "mms_server.py", "{port}", "{run}"),
    lock="multi-model-server",
    path="/invocations",
    models=(SAMPLE,),
)

OURS = Subject("ours", "this project", ("{python}", "{guest}/serve"), role="ours",
               path="/invocations")  # fmt: skip
FRAMEWORKS = (FASTAPI, MOSEC, MLSERVER, BENTOML, LITSERVE, RAY, MLFLOW)
SUBJECTS = (
    OURS,
    replace(
        OURS,
        name="ours-trees",
        label="this project, trees through its engine",
        models=("pipeline", "lightgbm", "xgboost"),
        guests={
            "pipeline": "pipeline_trees",
            "lightgbm": "lightgbm_trees",
            "xgboost": "xgboost_trees",
        },
    ),
    replace(
        OURS,
        name="ours-own-threads",
        label="this project, onnxruntime's own threads",
        models=("image",),
        guests={"image": "image_as_it_comes"},
    ),
    replace(
        OURS,
        name="ours-alone",
        label="this project, each request by itself",
        environ={"MODEL_SERVER_JOIN_ROWS": "0"},
        models=("pipeline", "waiting"),
    ),
    replace(
        OURS,
        name="ours-threads",
        label="this project, 16 threads",
        environ={"MODEL_SERVER_THREADS": "16"},
        models=("waiting",),
    ),
    replace(
        OURS,
        name="before",
        label="this project at another revision",
        command=("{python}", "{home}/before/container/serve"),
        environ={"SAGEMAKER_BASE_DIR": "{home}/before/ml"},
        models=(SAMPLE,),
    ),
    Subject("empty", "empty route, same nginx and gunicorn", ("{python}", "{home}/empty/serve"),
            role="limit", setup=("{python}", "empty_route.py", "{home}/empty"),
            path="/invocations", models=(SAMPLE,)),
    one_thread(FLASK),
    replace(CLASSIC, models=(SAMPLE,)),
    replace(one_thread(CLASSIC), name="tuned", label="classic sample, tuned",
            environ=ONE_THREAD | TUNED),
    *map(one_thread, FRAMEWORKS),
    MMS,
    batching(MOSEC),
    batching(MLSERVER),
    batching(BENTOML, path="/batching", body=as_questions),
    batching(LITSERVE),
    batching(RAY),
    own_threads(FASTAPI),
)  # fmt: skip
NAMES = {subject.name: subject for subject in SUBJECTS}
