# ruff: noqa: S603, S607 - the docker command is started
"""
The image itself.
"""

import subprocess
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.verdicts import Area, Failed, NotOffered

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("image")

SERVERLESS_BYTES = 10 * 10**9
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# Where systems keep what others must not read.
PRIVATE = ("etc/", "root/", "var/", "proc/", "sys/", "dev/", "run/", "tmp/", "lost+found", "boot/")
MOUNTED = ("opt/ml/model/", "opt/ml/input/", "opt/ml/output/", "opt/ml/checkpoints/")


@area.check(
    "architecture",
    "The image is made for linux/amd64.",
    consequence="Training and batch jobs, and most endpoints, end with exec format error.",
    remedy="Build with --platform linux/amd64, on Apple silicon above all.",
)
def architecture(lab: "Lab") -> str:
    found = f"{lab.config.get('Os')}/{lab.config.get('Architecture')}"
    if found != "linux/amd64":
        raise Failed(found)
    return found


@area.check(
    "size",
    "The image has at most 10 GB.",
    consequence="Serverless endpoints refuse it, and every instance takes minutes to pull it.",
    remedy="Leave out compilers and caches; models belong into the archive; build in stages.",
)
def size(lab: "Lab") -> str:
    found = int(lab.config["Size"])
    if found > SERVERLESS_BYTES:
        raise Failed(f"{found / 1e9:.1f} GB")
    return f"{found / 1e6:,.0f} MB"


@area.check(
    "manifest",
    "What a push sends is one image in Docker's own format, not an OCI index.",
    consequence="CreateModel and training jobs refuse it: Unsupported manifest media type.",
    remedy="Build with --provenance=false --output type=docker,oci-mediatypes=false.",
)
def manifest(lab: "Lab") -> str:
    media_type = (lab.config.get("Descriptor") or {}).get("mediaType", "")
    if media_type and media_type != DOCKER_MANIFEST:
        raise Failed(media_type)
    return media_type or "the engine's store pushes Docker's manifests, version 2, schema 2"


@area.check(
    "reserved-folders",
    "The image holds no files where the platform mounts its own.",
    consequence="What was put below /opt/ml/model or /opt/ml/input is hidden in the cloud.",
    remedy="Put code and models elsewhere, such as /opt/program.",
)
def reserved_folders(lab: "Lab") -> str:
    _, found = files(lab)
    if found:
        raise Failed(", ".join(sorted(found)[:5]))
    return "none"


@area.check(
    "world-readable",
    "Every user may read the files that are not the system's.",
    consequence="Serverless endpoints do not start: permission denied.",
    remedy="RUN chmod -R a+rX on what you copy into the image.",
)
def world_readable(lab: "Lab") -> str:
    closed, _ = files(lab)
    if closed:
        raise Failed(f"{len(closed)} are closed, such as {', '.join(closed[:3])}")
    return "all are open"


def files(lab: "Lab") -> tuple[list[str], list[str]]:
    """
    Return the paths that others may not read, and those where the platform mounts its own.
    """
    found: tuple[list[str], list[str]] = lab.find("files", lambda: _look(lab))
    return found


def _look(lab: "Lab") -> tuple[list[str], list[str]]:
    closed, reserved = [], []
    for member in _members(lab):
        name = member.name.removeprefix("./").lstrip("/")
        needed = 0o5 if member.isdir() else 0o4
        if name.startswith(MOUNTED) and not member.isdir():
            reserved.append(f"/{name}")
            continue
        shown = (member.isfile() or member.isdir()) and not f"{name}/".startswith(PRIVATE)
        if shown and member.mode & needed != needed:
            closed.append(f"/{name}")
    return closed, reserved


def _members(lab: "Lab") -> Iterator[tarfile.TarInfo]:
    """
    Yield all files of the image, whatever programs it holds.
    """
    container = lab.engine.create(lab.image, "serve")
    try:
        with subprocess.Popen(
            ["docker", "export", container.identity], stdout=subprocess.PIPE
        ) as export:
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                for member in archive:
                    yield member
                    archive.members = []  # type: ignore[attr-defined] # it would keep them all
            if export.stdout:
                export.stdout.read()
    finally:
        container.remove()


def start_files(lab: "Lab") -> dict[str, tuple[bytes, int]]:
    """
    Return their first 64 KiB and modes by their paths; raises NotOffered where there are none.
    """
    found: dict[str, tuple[bytes, int]] = lab.find("start files", lambda: _start_files(lab))
    if not found:
        raise NotOffered("train and serve are words for the ENTRYPOINT, which is not a script")
    return found


def _start_files(lab: "Lab") -> dict[str, tuple[bytes, int]]:
    config = lab.config["Config"]
    variables = dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
    path = variables.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    folders = [folder.rstrip("/") for folder in path.split(":") if folder]
    entry = list(config.get("Entrypoint") or [])
    words = [*entry, *(("train", "serve") if not entry else ())]
    found = {}
    container = lab.engine.create(lab.image, "serve")
    try:
        for word in words:
            relative = f"{config.get('WorkingDir') or ''}/{word}"
            places = [word] if word.startswith("/") else [f"{one}/{word}" for one in folders]
            for place in places if "/" not in word or word.startswith("/") else [relative]:
                if (file := container.file(place)) is not None:
                    found[place] = file
                    break
    finally:
        container.remove()
    return found


@area.check(
    "line-endings",
    "The scripts that are started have Unix line endings.",
    consequence="No job starts: python\\r: No such file or directory.",
    remedy="dos2unix the file; in .gitattributes: * text=auto eol=lf.",
)
def line_endings(lab: "Lab") -> str:
    found = start_files(lab)
    for path, (content, _) in found.items():
        if content.startswith(b"#!") and b"\r" in content.splitlines(keepends=True)[0]:
            raise Failed(f"{path} begins with {content.splitlines(keepends=True)[0]!r}")
    return ", ".join(found)


@area.check(
    "run-bits",
    "The files that are started may be executed.",
    consequence="No job starts: permission denied.",
    remedy="chmod +x the file in git and in the Dockerfile.",
)
def run_bits(lab: "Lab") -> str:
    found = start_files(lab)
    for path, (_, mode) in found.items():
        if not mode & 0o111 and _executed(lab, path):
            raise Failed(f"{path} has mode {mode:o}")
    return ", ".join(f"{path} {mode & 0o777:o}" for path, (_, mode) in found.items())


def _executed(lab: "Lab", path: str) -> bool:
    """
    Tell whether the kernel executes a file, not a program that is handed its name.
    """
    entry = lab.config["Config"].get("Entrypoint") or []
    return not entry or path.rsplit("/", 1)[-1] == str(entry[0]).rsplit("/", 1)[-1]
