"""
What is known of a model in service: its baseline, what it was asked and answered, and the labels
that came since; from S3 or from files.
"""

import io
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from deploy import models, operations, storage
from deploy.errors import UsageError
from deploy.session import Session, client, describe

if TYPE_CHECKING:
    from monitoring.captured import Captured
    from monitoring.events import Event
    from monitoring.truth import Truth

    from sagemaker_runtime.baseline.content import Baseline
    from sagemaker_runtime.formats.table import Table

CONTAINER = Path(__file__).resolve().parents[1] / "container"
BASELINE = "baseline.json"


def find_program() -> None:
    """
    Let the commands that read captured requests import ``sagemaker_runtime``.
    """
    if str(CONTAINER) not in sys.path:
        sys.path.append(str(CONTAINER))


def requests(
    session: Session,
    table: "Table",
    captures: str,
    inputs: str,
    since: datetime | None,
    until: datetime | None,
) -> "Captured":
    """
    Read what a table's model was asked and answered in a window: captured requests, and answers of
    batch jobs, whose questions lie at ``inputs``.
    """
    from monitoring import batch, captured, events

    counts: Counter[str] = Counter()

    def found() -> "Iterator[Event]":
        for name, lines in texts(session, captures):
            if name.endswith(batch.SUFFIX):
                asked = _inside(captures, name).removesuffix(batch.SUFFIX)
                given = _content(session, inputs, asked) if inputs else None
                counts["batch files without questions"] += bool(inputs and given is None)
                yield from batch.events(asked, b"".join(lines), given, table, counts)
            elif _in_time(name, since, until):
                yield from events.read(lines, counts)

    return captured.joined(found(), table, counts).between(since, until)


def labels(
    session: Session, place: str, baseline: "Baseline", end: datetime | None = None
) -> "Truth":
    """
    Read labels; those of hours behind ``end`` are counted as late.
    """
    from monitoring import truth

    from sagemaker_runtime.errors import RequestError

    if baseline.table.label is None:
        raise UsageError(f"{BASELINE} names no label, so labels cannot be compared with it")
    found = truth.Truth()
    for name, lines in texts(session, place):
        collected = _hour_of(name)
        is_late = bool(end and collected and collected >= end)
        try:
            truth.read(lines, baseline.table.label, found, is_late)
        except RequestError as error:
            raise UsageError(f"{name}: {error}") from error
    return found


def texts(session: Session, place: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """
    Yield name and lines of a file, or of each file of a folder or below an address in S3.
    """
    if place.startswith("s3://"):
        bucket = storage.split(place)[0]
        for each in storage.objects(session, place):
            body = client(session, "s3").get_object(Bucket=bucket, Key=each["Key"])["Body"]
            yield each["Key"], body.iter_lines(keepends=True)
        return
    path = Path(place)
    if not path.exists():
        raise UsageError(f"'{place}' does not exist; expected a file, a folder or an s3:// address")
    for file in storage.files(path) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            yield str(file), lines


def baseline_of(session: Session, model: str) -> "Baseline":
    """
    Read the baseline of a model: a folder, an archive here or in S3, or the file itself.
    """
    from sagemaker_runtime.baseline.content import Baseline

    text: bytes | None = None
    if model.startswith("s3://"):
        text = _unpacked(storage.read(session, model))
    elif (Path(model) / BASELINE).is_file():
        text = (Path(model) / BASELINE).read_bytes()
    elif Path(model).is_file():
        content = Path(model).read_bytes()
        text = content if model.endswith(".json") else _unpacked(content)
    if text is None:
        raise UsageError(
            f"there is no {BASELINE} in '{model}'; expected a model's folder or archive as train "
            "writes it, from rows that job.rows reads"
        )
    try:
        return Baseline.read(text)
    except ValueError as error:
        raise UsageError(f"{BASELINE} of '{model}' is not a baseline: {error}") from error


def archive(session: Session, name: str) -> str:
    """
    Return where the model of an endpoint is.
    """
    variants = _configuration(session, name)["ProductionVariants"]
    container = models.container_of(session, variants[0]["ModelName"])
    if not container.get("ModelDataUrl"):
        raise UsageError(f"the endpoint {name} does not say where its model is; name it: --model")
    return str(container["ModelDataUrl"])


def destination(session: Session, name: str, of_variant: bool = False) -> str:
    """
    Return where an endpoint captures, or its first variant, whose model ``archive`` finds; raises
    UsageError when it does not.
    """
    configuration = _configuration(session, name)
    capture = configuration.get("DataCaptureConfig", {})
    if not capture.get("DestinationS3Uri"):
        raise UsageError(
            f"the endpoint {name} does not capture; set realtime.capture_percent in deploy.toml "
            "or name what the server itself captured: --captures"
        )
    folder = f"{capture['DestinationS3Uri'].rstrip('/')}/{name}/"
    return (
        f"{folder}{configuration['ProductionVariants'][0]['VariantName']}/"
        if of_variant
        else folder
    )


def in_service_since(session: Session, name: str) -> datetime:
    """
    Return when the models of an endpoint came into service, as far as is known.
    """
    last = operations.read(session, name)
    found = operations.served_since(last, _configuration(session, name))
    return found.astimezone(UTC).replace(microsecond=0)


def moment(text: str) -> datetime | None:
    """
    Return the time that a text states, in UTC unless it says otherwise; raises UsageError.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a time; expected such as 2026-01-31T08:00") from None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _unpacked(content: bytes) -> bytes | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if Path(member.name) == Path(BASELINE) and (file := tar.extractfile(member)):
                    return file.read()
    except tarfile.TarError:
        pass
    return None


def _configuration(session: Session, name: str) -> dict[str, Any]:
    endpoint = describe(session, "endpoint", name)
    if not endpoint:
        raise UsageError(
            f"there is no endpoint {name}; name one: --name, or files: --model and --captures"
        )
    return describe(session, "endpoint_config", endpoint["EndpointConfigName"]) or {}


def _inside(place: str, name: str) -> str:
    """
    Return the name that a file of ``texts`` has within the place.
    """
    if place.startswith("s3://"):
        folder = f"{storage.split(place)[1].rstrip('/')}/"
        inside = name.startswith(folder)
        return name.removeprefix(folder) if inside else PurePosixPath(name).name
    path = Path(place)
    return Path(name).relative_to(path).as_posix() if path.is_dir() else path.name


def _content(session: Session, place: str, name: str) -> bytes | None:
    """
    Return the content of a file within a place, which may be the file itself; None without it.
    """
    if place.startswith("s3://"):
        whole = place if place.endswith(name) else f"{place.rstrip('/')}/{name}"
        return storage.read(session, whole) if storage.head(session, whole) else None
    path = Path(place) if Path(place).is_file() else Path(place) / name
    return path.read_bytes() if path.is_file() else None


def _hour_of(name: str) -> datetime | None:
    """
    Return the hour that a file's folders state, …/2026/01/31/08/….
    """
    try:
        return datetime(*map(int, Path(name).parts[-5:-1]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except (ValueError, TypeError):
        return None


def _in_time(name: str, begin: datetime | None, end: datetime | None) -> bool:
    """
    Tell whether a file of captured requests may hold some of the window.
    """
    stated = _hour_of(name)
    if stated is None:
        return True
    return not ((begin and stated + timedelta(hours=1) <= begin) or (end and stated >= end))
