"""Script mode runs the code that a job brings: Estimator(entry_point=..., source_dir=...)."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aws
from jobs import files, train, write_hyperparameters
from sagemaker_runtime.errors import ExitCode
from scripts import SAVE, write


def archive(**sources: str) -> bytes:
    """An archive as SageMaker's SDK makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, source in sources.items():
            member = tarfile.TarInfo(name)
            member.size = len(source)
            tar.addfile(member, io.BytesIO(source.encode()))
    return packed.getvalue()


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """A bucket called code, and the environment that leads to it."""
    import boto3

    with aws.api() as api:
        environ = aws.credentials(api) | {"AWS_MAX_ATTEMPTS": "1"}
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=api.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="code")
        yield client, environ


def test_an_entry_point_is_fetched_and_kept_with_the_model(program, root, s3):
    """Estimator(entry_point, source_dir): the code runs, and code/ in the model holds it."""
    client, environ = s3
    code = archive(**{"fit.py": SAVE + "import helper\n", "helper.py": "", "sub/inference.py": ""})
    client.put_object(Bucket="code", Key="job/sourcedir.tar.gz", Body=code)
    write(program, "raise SystemExit('the package is not asked')")
    write_hyperparameters(
        root,
        sagemaker_program='"fit.py"',
        sagemaker_submit_directory='"s3://code/job/sourcedir.tar.gz"',
    )
    done = train(program, root, **environ)
    assert done.returncode == 0, done.stderr
    kept = ["code/fit.py", "code/helper.py", "code/sub/inference.py", "model.txt"]
    assert files(root / "model") == sorted([*kept, "openapi.json"])


def test_an_entry_point_may_be_a_shell_script(program, root):
    """train.sh is run by bash with the same arguments and variables."""
    write(program, '[[ -n $SM_HPS ]] && echo "$@" > "$SM_MODEL_DIR/arguments"', "train.sh")
    write_hyperparameters(root, sagemaker_program="train.sh", depth=3)
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert (root / "model/arguments").read_text() == "--depth 3\n"


def test_an_archive_that_cannot_be_fetched_is_named(program, root, s3):
    """The address, the cause and what the job needs stand in the failure."""
    _, environ = s3
    write_hyperparameters(root, sagemaker_submit_directory="s3://code/absent.tar.gz")
    done = train(program, root, **environ)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    failure = (root / "output/failure").read_text()
    assert "'s3://code/absent.tar.gz', which could not be fetched: " in failure
    assert "404" in failure
    assert "s3:GetObject" in failure


def test_an_archive_beside_the_data_needs_no_network(program, root, tmp_path):
    """With network isolation the SDK puts the archive into a channel and names its path."""
    (tmp_path / "sourcedir.tar.gz").write_bytes(archive(**{"train.py": SAVE}))
    write_hyperparameters(root, sagemaker_submit_directory=tmp_path / "sourcedir.tar.gz")
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert files(root / "model") == ["code/train.py", "model.txt", "openapi.json"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside.py", tarfile.REGTYPE),
        ("/tmp/outside.py", tarfile.REGTYPE),
        ("link.py", tarfile.SYMTYPE),
        ("hard.py", tarfile.LNKTYPE),
    ],
)
def test_an_archive_may_not_reach_outside(program, root, tmp_path, name, kind):
    """Paths that lead outside and links end the job before anything is run."""
    packed = tmp_path / "sourcedir.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    write_hyperparameters(root, sagemaker_submit_directory=packed)
    done = train(program, root)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert f"the code's archive holds {name!r}, a link or a path" in done.stderr


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"sagemaker_program": "fit.py"}, "the code holds no fit.py; there is: __init__.py"),
        ({"sagemaker_submit_directory": "/absent"}, "'/absent', which cannot be unpacked"),
        ({"sagemaker_mpi_enabled": "true"}, "sagemaker_mpi_enabled is true, which a distribution"),
    ],
)
def test_what_cannot_be_done_is_refused(program, root, hyperparameters, reason):
    """A script or archive that is not there, and several processes, end the job at once."""
    write(program, SAVE)
    write_hyperparameters(root, **hyperparameters)
    done = train(program, root)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert reason in (root / "output/failure").read_text()


def test_libraries_that_the_image_lacks_are_named(program, root):
    """A job installs nothing: what requirements.txt names must be there."""
    write(program, SAVE)
    write(
        program,
        "# for fitting\nnumpy>=1\na-library-of-nobody==2\n-r more.txt\n",
        "requirements.txt",
    )
    done = train(program, root)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert "names a-library-of-nobody, which the image lacks" in done.stderr
