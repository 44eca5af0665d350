"""deploy.toml: what is read, what is refused."""

import pytest
from deploy import settings
from deploy.errors import ExitCode, UsageError

from project import TOP


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('rolle = "x"', "rolle is not a setting of deploy.toml; did you mean role?"),
        ("[network]\nsubnet = []", "did you mean network.subnets?"),
        ("[training]\nspot = 1", "training.spot is 1 in deploy.toml; expected bool"),
        ("[realtime]\ninstance_count = true", "instance_count is True"),
        ("[network]\nsubnets = [1]", "network.subnets is [1]"),
        ("application = ", "is not TOML"),
    ],
)
def test_what_is_not_a_setting_is_refused(run, line, said):
    """The message names the setting, what is expected, and the nearest name."""
    run.lines = line.splitlines()
    ended = run("status", poll=False)
    assert ended.code == ExitCode.USAGE
    assert said in ended.err


def test_a_missing_file_is_named(tmp_path):
    """A file that was asked for must be there."""
    with pytest.raises(UsageError, match=r"absent\.toml does not exist"):
        settings.read(tmp_path / "absent.toml")


def test_without_a_file_the_application_has_the_algorithms_name(monkeypatch, tmp_path):
    """A newcomer needs no deploy.toml."""
    monkeypatch.setattr(settings, "FILE", tmp_path / "deploy.toml")
    monkeypatch.setenv("ALGORITHM", "house_prices")
    assert settings.read(None) == settings.Settings(application="house-prices")


def test_the_pages_table_is_current():
    """The documentation's table of settings is the one that the code makes."""
    page = (TOP / "docs/deploying.md").read_text(encoding="utf-8")
    assert settings.markdown() in page
