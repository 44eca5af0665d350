"""The model's way into the archive."""

import os
from pathlib import Path

import pytest

from jobs import files
from sagemaker_runtime.errors import JobError
from sagemaker_runtime.training import publish
from sagemaker_runtime.training.publish import STAGING


@pytest.fixture
def model(tmp_path):
    """The model's folder, which does not exist yet."""
    return tmp_path / "ml/model"


def refuse_to_leave(monkeypatch, mount):
    """Make ``mount`` look like a mount: nothing is renamed into it or out of it."""
    rename = Path.rename

    def crossing(self, target):
        if self.is_relative_to(mount) != Path(target).is_relative_to(mount):
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crossing)


def published(folder, model):
    publish.publish(publish.collect(folder / "model", folder / "copies"), model)


def test_a_file_is_renamed(model):
    """A large model needs no second copy on the disk: the file itself moves."""
    with publish.staging(model) as folder:
        (folder / "model/sub").mkdir(parents=True)
        file = folder / "model/sub/large.bin"
        file.write_bytes(b"weights")
        file.chmod(0o600)
        inode = file.stat().st_ino
        published(folder, model)
    assert (model / "sub/large.bin").stat().st_ino == inode
    assert (model / "sub/large.bin").stat().st_mode & 0o777 == 0o644
    assert os.listdir(model) == ["sub"]
    assert os.listdir(model.parent) == ["model"]


def test_staging_is_not_uploaded_where_the_model_is_a_folder(model):
    """It stands beside the model, where a killed job leaves it out of the archive."""
    with publish.staging(model) as folder:
        assert folder == model.parent / STAGING
        assert os.listdir(model) == []
    assert not folder.exists()


def test_staging_is_inside_a_model_that_is_a_mount(model, monkeypatch):
    """Files cannot be renamed across mounts; the folder is hidden and goes away."""
    refuse_to_leave(monkeypatch, model)
    with publish.staging(model) as folder:
        assert folder == model / STAGING
        assert os.listdir(model.parent) == ["model"]
    assert os.listdir(model) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_staging_goes_away_whatever_happens(model, error):
    """A failed job leaves nothing of its model."""

    def half():
        with publish.staging(model) as folder:
            (folder / "half").write_text("a model")
            raise error

    with pytest.raises(error):
        half()
    assert os.listdir(model.parent) == ["model"]


def test_what_a_killed_job_has_left_is_removed(model):
    """At the next start, wherever it was."""
    for leftover in (model / STAGING, model.parent / STAGING):
        leftover.mkdir(parents=True)
        (leftover / "half").write_text("a model")
    with publish.staging(model) as folder:
        assert os.listdir(folder) == []
        assert os.listdir(model) == []


def test_links_become_what_they_lead_to(model, tmp_path):
    """Of files and folders, inside and outside; what they lead to stays as it was."""
    outside = tmp_path / "outside.bin"
    outside.write_text("outside")
    outside.chmod(0o600)
    with publish.staging(model) as folder:
        staged = folder / "model"
        (staged / "sub").mkdir(parents=True)
        (staged / "sub/weights").write_text("42")
        (staged / "latest").symlink_to("sub")
        (staged / "again").symlink_to("latest/weights")
        (staged / "outside").symlink_to(outside)
        (staged / "hard").hardlink_to(outside)
        published(folder, model)
    assert files(model) == ["again", "hard", "latest/weights", "outside", "sub/weights"]
    assert not [path for path in model.rglob("*") if path.is_symlink()]
    assert (model / "again").read_text() == (model / "latest/weights").read_text() == "42"
    assert outside.stat().st_mode & 0o777 == 0o600
    assert outside.stat().st_nlink == 1


def test_a_file_of_the_runtime_does_not_replace_the_algorithms(tmp_path):
    """What the algorithm wrote stays; under another name the file is added, for all to read."""
    files = [(tmp_path / "a", Path("a"))]
    assert publish.unless_there("a", "text", files, tmp_path) == []
    ((file, name),) = publish.unless_there("b", "text", files, tmp_path)
    assert (file.read_text(), name) == ("text", Path("b"))
    assert file.stat().st_mode & 0o777 == 0o644
    with pytest.raises(JobError, match="could not be written"):
        publish.unless_there("c", "text", files, tmp_path / "gone")


@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        ("sub/loop", "..", "sub/loop in job.model_dir is a link to a folder around it"),
        (
            "gone",
            "no\nwhere",
            r"gone in job.model_dir is a link to no\nwhere, which does not exist",
        ),
        ("self", "self", "could not be written"),
    ],
)
def test_links_that_lead_nowhere_are_named(model, link, target, words):
    """The message says which link, and no file is published."""
    with publish.staging(model) as folder:
        (folder / "model/sub").mkdir(parents=True)
        (folder / "model/a").write_text("first")
        (folder / "model" / link).symlink_to(target)
        with pytest.raises(JobError) as caught:
            published(folder, model)
    assert words in str(caught.value)
    assert files(model) == []


def test_a_model_folder_that_cannot_be_written_is_told(tmp_path):
    """The message has the cause and the usual remedy."""
    (tmp_path / "model").write_text("a file")
    with (
        pytest.raises(JobError, match=r"could not be written to .*model.*volume_size"),
        publish.staging(tmp_path / "model"),
    ):
        pass
