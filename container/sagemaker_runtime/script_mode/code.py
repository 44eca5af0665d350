"""
The scripts of a job: those in the package, or the archive that ``Estimator(entry_point=…,
source_dir=…)`` uploaded.
"""

import os
import re
import shutil
import tarfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from sagemaker_runtime.errors import HyperparameterError
from sagemaker_runtime.script_mode.environment import Given
from sagemaker_runtime.training.hyperparameters import ENTRY_POINT

PROGRAM, SUBMIT_DIRECTORY = ENTRY_POINT
SCRIPT = "train.py"


def program(given: Given, code: Path) -> str:
    """
    Return the name of the script that trains; raises HyperparameterError when there is none.
    """
    name = str(given.platform.get(PROGRAM) or os.environ.get("SAGEMAKER_PROGRAM") or SCRIPT)
    if not (code / name).is_file():
        there = ", ".join(sorted(path.name for path in code.iterdir())) or "nothing"
        raise HyperparameterError(
            f"the code holds no {name}; there is: {there}. The script is called {SCRIPT}, or is "
            'named by the job: Estimator(entry_point="fit.py", source_dir="code").'
        )
    return name


def fetch(given: Given, folder: Path) -> Path | None:
    """
    Return the folder with the code that the job names, unpacked into ``folder`` where it is an
    archive; None when the job names none.

    Raises HyperparameterError when it cannot be fetched or used.
    """
    source = str(given.platform.get(SUBMIT_DIRECTORY) or "")
    if not source:
        return None
    path = Path(source)
    if source.startswith("s3://"):
        path = folder / "sourcedir.tar.gz"
        _download(source, path, given.platform.get("sagemaker_region"))
    if path.is_dir():
        return path
    code = folder / "sourcedir"
    try:
        with tarfile.open(path) as archive:
            _unpack(archive, code)
    except (OSError, tarfile.TarError) as error:
        raise HyperparameterError(
            f"{SUBMIT_DIRECTORY} is {source!r}, which cannot be unpacked: {error}. Expected a "
            'tar.gz as SageMaker\'s SDK makes it: Estimator(entry_point="train.py", source_dir=…).'
        ) from error
    return code


def check_requirements(code: Path) -> None:
    """
    Raise HyperparameterError when ``requirements.txt`` names a library that the image lacks.
    """
    file = code / "requirements.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9][\w.-]*", line.strip()))]
    if missing := [name for name in named if not _installed(name)]:
        raise HyperparameterError(
            f"requirements.txt of the code names {', '.join(missing)}, which the image lacks; a "
            "job installs nothing. Add it to requirements.in, lock it as the file's first lines "
            "say, and build the image again."
        )


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _download(uri: str, file: Path, region: str | None) -> None:
    """
    Fetch an object with the job's own credentials.
    """
    # Half a second and 20 MB, for jobs that name their code.
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or region
    try:
        boto3.client("s3", region_name=region).download_file(bucket, key, str(file))
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise HyperparameterError(
            f"{SUBMIT_DIRECTORY} is {uri!r}, which could not be fetched: {error}. The job's role "
            "needs s3:GetObject there, and the job a network: enable_network_isolation=False."
        ) from error
    print(f"fetched the code from {uri}")


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """
    Write the archive's files and folders below ``folder``, links and devices and paths that lead
    elsewhere being refused.
    """
    folder.mkdir()
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            raise HyperparameterError(
                f"the code's archive holds {member.name!r}, a link or a path that leads outside; "
                "expected files and folders only. Put copies in place of links."
            )
        target = folder / name
        (target if member.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
        if (content := archive.extractfile(member)) is not None:
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
