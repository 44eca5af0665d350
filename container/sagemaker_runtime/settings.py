"""
The settings of ``serve``: one table, parsed once, that renders nginx.conf and documents itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

from sagemaker_runtime import resources
from sagemaker_runtime.errors import SettingError

# Where numerical libraries read how many threads they may start.
THREAD_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Where joblib reads how many processors there are: a forest with n_jobs=-1 takes them all.
JOBLIB = "LOKY_MAX_CPU_COUNT"

# Among the words of a setting: any folder may be named.
FOLDER = "an absolute path"


@dataclass(frozen=True)
class Setting:
    """
    One environment variable; ``values`` is a range of whole numbers or a list of words, of which
    ``several`` may be given, separated by commas. A default of None is computed from what the
    container grants.
    """

    name: str
    field: str
    default: int | str | None
    unit: str
    values: range | tuple[str, ...]
    help: str
    several: bool = False

    @property
    def rule(self) -> str:
        """
        Say in words which values are taken, such as "a whole number from 1 to 3600".
        """
        if isinstance(self.values, range):
            return f"a whole number from {self.values[0]} to {self.values[-1]}"
        return ("some of " if self.several else "one of ") + ", ".join(self.values)

    def parse(self, text: str) -> int | str:
        """
        Return the typed value; raises SettingError when it breaks the rule.
        """
        value = int(text) if re.fullmatch("[0-9]{1,9}", text) else text.lower()
        if value in self.values:
            return value
        if FOLDER in self.values and text.startswith("/"):
            return text
        words = [word.strip() for word in text.lower().split(",")]
        if self.several and all(word in self.values for word in words):
            return ",".join(sorted(set(words), key=words.index))
        unit = f" ({self.unit})" if self.unit else ""
        raise SettingError(
            f"{self.name} is {text[:80]!r}; expected {self.rule}{unit}, "
            f"such as {self.default or self.values[0]}."
        )


# What each mode sets, by field: the platform's limits for it. Of several modes, and of the defaults
# where a mode does not say, the largest value counts. Batch transform waits for an hour at most
# (InvocationsTimeoutInSeconds), so it gives up before the server does.
MODES: Mapping[str, Mapping[str, int]] = {
    "realtime": {},
    "batch": {"timeout_s": 3600},
    "async": {"timeout_s": 3600, "max_payload_mb": 1024},
    "serverless": {"workers": 1, "max_payload_mb": 4},
}

# MaxPayloadInMB=0 of a transform job: bodies of any size.
ANY_SIZE_MB = 1024

SETTINGS = (
    Setting("SAGEMAKER_BIND_TO_PORT", "port", 8080, "", range(1, 65536), "Port to listen on."),
    Setting("MODEL_SERVER_MODE", "mode", "realtime", "", tuple(MODES),
            "What the endpoint is, which sets sizes and times; of several, the largest count. In a "
            "batch transform job, batch is added.", several=True),
    Setting("SAGEMAKER_MULTI_MODEL", "multi_model", "false", "", ("true", "false"),
            "Load and unload models when asked to, as multi-model endpoints do."),
    Setting("MODEL_SERVER_WORKERS", "workers", None, "", range(1, 257),
            "Worker processes; by default one per processor, fewer when memory is short."),
    Setting("MODEL_SERVER_THREADS", "threads", 1, "", range(1, 257),
            "Calls of a slow model at a time in each worker. Numerical libraries get as many "
            "threads, at most one per processor, and a single worker's get one for each, where "
            "OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and MKL_NUM_THREADS do not say otherwise."),
    Setting("MODEL_SERVER_JOIN_ROWS", "join_rows", 128, "", range(10_001),
            "Most rows of waiting requests that are predicted in one call; 0 predicts each request "
            "by itself."),
    Setting("MODEL_SERVER_PRELOAD", "preload", "auto", "", ("auto", "on", "off"),
            "Load the model once and share its memory, or in each worker; auto shares it unless "
            "there are several threads, loading leaves some behind, or the model runs code."),
    # gunicorn's gevent workers give a sign of life every second: below 5 s a busy one looks dead.
    Setting("MODEL_SERVER_TIMEOUT", "timeout_s", 60, "s", range(5, 3601),
            "Time a request may take; nginx waits longer than that."),
    Setting("MODEL_SERVER_LOAD_TIMEOUT", "load_timeout_s", 300, "s", range(5, 3601),
            "Time that a model of a multi-model endpoint may take to load."),
    Setting("MODEL_SERVER_MAX_PAYLOAD_MB", "max_payload_mb", 100, "MB", range(1, 1025),
            "Largest request body."),
    Setting("MODEL_SERVER_BAD_RECORDS", "bad_records", "refuse", "", ("refuse", "mark"),
            "What becomes of CSV and JSON Lines with a bad record: the request is refused, or the "
            "record gets an error line in its place and the others their predictions."),
    Setting("MODEL_SERVER_CAPTURE", "capture_percent", 0, "%", range(101),
            "Share of requests that are captured with their answers, for monitoring."),
    Setting("MODEL_SERVER_CAPTURE_TO", "capture_to", "stdout", "", ("stdout", FOLDER),
            "Where captured requests go: lines of the log, or files below a folder by the hour."),
    Setting("MODEL_SERVER_LOG_LEVEL", "log_level", "info", "",
            ("debug", "info", "warning", "error"), "Least severe log line that is printed."),
    Setting("MODEL_SERVER_LOG_REQUESTS", "log_requests", "all", "", ("all", "errors", "none"),
            "Requests that have a line in the log: all, those that fail or take more than a "
            "second, or none but those with a traceback."),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """
    The values in force.
    """

    port: int
    mode: str
    multi_model: str
    workers: int
    threads: int
    join_rows: int
    preload: str
    timeout_s: int
    load_timeout_s: int
    max_payload_mb: int
    bad_records: str
    capture_percent: int
    capture_to: str
    log_level: str
    log_requests: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], root: Path = Path("/")) -> "Settings":
        """
        Parse ``environ``, where an empty value counts as absent; /proc and /sys stand below
        ``root``. Raises SettingError.
        """
        values = {setting.field: value for setting, value, _ in _in_force(environ)}
        if values["workers"] is None:
            values["workers"] = resources.default_workers(
                resources.cpus(root), resources.memory_mb(root), int(values["max_payload_mb"] or 0)
            )
        return cls(**values)  # type: ignore[arg-type]  # parse has typed them


def _in_force(environ: Mapping[str, str]) -> Iterator[tuple[Setting, int | str | None, str]]:
    """
    Yield each setting with its value, None where it is computed, and what it comes from: the
    default, the environment, or the variable of the platform or mode that sets it.
    """
    modes = ["realtime"]
    for setting in SETTINGS:
        value, source = setting.default, "default" if setting.default is not None else ""
        if environ.get(setting.name):
            value, source = setting.parse(environ[setting.name]), "environment"
        elif setting.field == "max_payload_mb" and (job := _of_job(environ)) is not None:
            value, source = job, f"SAGEMAKER_MAX_PAYLOAD_IN_MB={job if job < ANY_SIZE_MB else 0}"
        elif stated := [mode for mode in modes if setting.field in MODES[mode]]:
            usual = [value] * (len(stated) < len(modes))
            values = [*(MODES[mode][setting.field] for mode in stated), *usual]
            value = max(each for each in values if isinstance(each, int))
            if value != setting.default:
                source = "mode " + ",".join(
                    mode for mode in stated if MODES[mode][setting.field] == value
                )
        if setting.field == "mode":
            if _is_batch(environ) and "batch" not in str(value).split(","):
                value = "batch" if source == "default" else f"{value},batch"
                source = "SAGEMAKER_BATCH" if source == "default" else f"{source}, SAGEMAKER_BATCH"
            modes = str(value).split(",")
        yield setting, value, source


def _is_batch(environ: Mapping[str, str]) -> bool:
    return environ.get("SAGEMAKER_BATCH", "").strip().lower() == "true"


def _of_job(environ: Mapping[str, str]) -> int | None:
    """
    Return the payload in MB that a transform job was given, None when it says nothing.
    """
    text = environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "").strip()
    if not _is_batch(environ) or not re.fullmatch("[0-9]{1,4}", text):
        return None
    return min(int(text), ANY_SIZE_MB) or ANY_SIZE_MB


def library_threads(settings: Settings, granted: float) -> int:
    """
    Return the threads of numerical libraries in each worker: one, since workers share the
    processors granted, as many as are set, or all processors where there is one worker, unless its
    model is loaded before the fork, which threads do not outlast.
    """
    is_alone = settings.workers == 1 and settings.preload != "on"
    return max(1, min(settings.threads, ceil(granted)), int(granted) if is_alone else 1)


def preloads(settings: Settings, environ: Mapping[str, str]) -> bool:
    """
    Tell whether the model is loaded once, before the workers fork, and its memory shared.

    Not so where somebody wants several threads: those that loading starts do not outlast a fork,
    and libgomp waits for them for ever.
    """
    if settings.preload == "auto":
        usual = {"1"}
        if settings.threads == 1:  # a single worker's: if loading starts them it is noticed
            usual.add(str(library_threads(settings, resources.cpus())))
        return all((environ.get(name) or str(settings.threads)) in usual for name in THREAD_POOLS)
    return settings.preload == "on"


def refuse_foreign(environ: Mapping[str, str]) -> None:
    """
    Raise SettingError for the variable by which gunicorn takes options past ``serve``.
    """
    if options := environ.get("GUNICORN_CMD_ARGS", "").strip():
        names = ", ".join(setting.name for setting in SETTINGS)
        raise SettingError(
            f"GUNICORN_CMD_ARGS is {options[:80]!r}; expected no such variable, since serve sets "
            f"gunicorn's options. Remove it and use {names}; see serve --show-settings."
        )


def unknown(environ: Mapping[str, str]) -> list[str]:
    """
    Return a sentence for each variable that looks like a setting and that nobody reads.
    """
    names = [setting.name for setting in SETTINGS]
    sentences = []
    for name in sorted(environ):
        bare = name.removeprefix("SAGEMAKER_")
        if not bare.startswith("MODEL_SERVER_") or name in names:
            continue
        import difflib  # here, since hardly anybody needs it

        close = difflib.get_close_matches(bare, names, 1)
        remedy = (
            f"did you mean {close[0]}?" if close else "serve --show-settings lists those that are."
        )
        sentences.append(f"{name} is not a setting and is not read; {remedy}")
    return sentences


def show(environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """
    Render the table with the value in force and where it comes from; raises SettingError.
    """
    import textwrap  # here, since serving does without

    values = asdict(Settings.from_environ(environ, root))
    granted = f"{resources.cpus(root):g} CPUs, {resources.memory_mb(root)} MB"
    text, indent = "", " " * 4
    for setting, _, source in _in_force(environ):
        value = f"{values[setting.field]} {setting.unit}".strip()
        source = source or f"computed from {granted}"
        text += f"{setting.name} = {value} ({source})\n"
        about = f"{setting.help} {setting.rule.capitalize()}."
        text += textwrap.fill(about, 100, initial_indent=indent, subsequent_indent=indent) + "\n"
    return text


def markdown() -> str:
    """
    Render the table for the documentation.
    """
    lines = ["| name | default | values | meaning |", "|---|---|---|---|"]
    for setting in SETTINGS:
        default = "computed" if setting.default is None else setting.default
        default = f"{default} {setting.unit}".strip()
        lines.append(f"| `{setting.name}` | {default} | {setting.rule} | {setting.help} |")
    return "\n".join(lines) + "\n"


def render(template: str, values: Mapping[str, object]) -> str:
    """
    Replace each ``{{ name }}``; nginx writes ``$name`` and ``{`` itself, but never ``{{``.
    """
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: str(values[found[1]]), template)
