"""
./deploy.sh retrain: its calls, its refusals and what it makes of a comparison, on moto.

tests/deploy/test_retraining_loop.py runs it with containers.
"""

import json
from typing import Any

import pytest
from deploy import retrain as module
from deploy.challengers import Champion
from deploy.errors import ExitCode

import watched
from captures import event, side
from deployments import BUCKET, Account, Commands, Ended
from granted import PEOPLE, refused, statements

ROWS = "price,size\n9.5,3.5\n"


@pytest.fixture
def champion(run: Commands, account: Account, tmp_path: Any) -> Commands:
    """The commands, with an endpoint and new rows."""
    assert run("realtime", "--model", tmp_path / "model").code == 0
    (tmp_path / "new.csv").write_text(ROWS, encoding="utf-8")
    account.calls.clear()
    account.permissions.clear()
    return run


def retrain(run: Commands, *more: object) -> Ended:
    """Run the command."""
    folder = run.settings.parent
    return run("retrain", "--new", folder / "new.csv", "--data", folder / "data", *more)


def compared(account: Account, monkeypatch: pytest.MonkeyPatch, **found: Any) -> None:
    """Let each processing job have found this."""
    read = module.storage.read
    content = {"sentence": "so it is", "how": "by rows", "model_card": "{}", **found}

    def instead(session: Any, address: str) -> bytes:
        is_it = address.endswith("/comparison.json")
        return json.dumps(content).encode() if is_it else read(session, address)

    monkeypatch.setattr(module.storage, "read", instead)


def test_a_job_trains_and_compares(champion, account, monkeypatch):
    """It has the rows, the champion and the hyperparameters; it runs the image's program."""
    compared(account, monkeypatch, verdict="undecided")
    ended = retrain(champion, "--set", "rounds=7")
    assert ended.code == ExitCode.KEPT, ended.err
    assert "so it is (by rows)" in ended.err
    assert "the model in service stays" in ended.err
    ((action, asked),) = account.calls
    assert action == "CreateProcessingJob"
    assert asked["ProcessingJobName"].startswith("toys-retrain-")
    places = {
        each["S3Input"]["LocalPath"]: each["S3Input"]["S3Uri"] for each in asked["ProcessingInputs"]
    }
    folder = "/opt/ml/processing/input"
    assert set(places) == {f"{folder}/{each}" for each in ("channels/training", "new", "champion")}
    assert places[f"{folder}/champion"].endswith("/model.tar.gz")
    specification = asked["AppSpecification"]
    assert "@sha256:" in specification["ImageUri"]
    given = specification["ContainerArguments"]
    assert given[0] == "crossfit"
    assert given[given.index("--set") + 1] == "rounds=7"
    assert retrain(champion, "--set", "rounds=7").err.count("reuse processing job") == 1
    permissions = {each for each in account.permissions if each[0] != "sts:GetCallerIdentity"}
    assert refused(permissions, statements(PEOPLE, "toys", BUCKET)) == set()


def test_a_better_one_is_registered_once_and_handed_to_update(champion, account, monkeypatch):
    """With image, archive, comparison, report and card; and the same package the next time."""
    from deploy import update

    handed: list[str] = []

    def hand(session: Any, name: str, model: str) -> dict[str, str]:
        handed.append(model)
        return {"endpoint": name}

    monkeypatch.setattr(update, "update", hand)
    compared(account, monkeypatch, verdict="better")
    report = champion.settings.parent / "report.json"
    report.write_text("{}", encoding="utf-8")
    ended = retrain(champion, "--report", report, "--json")
    assert ended.code == 0, ended.err
    packages = [asked for action, asked in account.calls if action == "CreateModelPackage"]
    (package,) = packages
    assert package["ModelPackageGroupName"] == "toys"
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ModelCard"]["ModelCardContent"] == "{}"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].endswith("/model/model.tar.gz")
    assert package["ModelMetrics"]["ModelDataQuality"]["Statistics"]["S3Uri"].endswith(
        "/report.json"
    )
    assert handed == [ended.json()["model_package"]]
    again = retrain(champion, "--report", report, "--json")
    assert again.json()["model_package"] == handed[0]
    assert len([1 for action, _ in account.calls if action == "CreateModelPackage"]) == 1


@pytest.mark.parametrize(
    ("how", "last"), [((), "create-model-package"), (("--pipeline",), "start-pipeline-execution")]
)
def test_a_dry_run_shows_the_calls(champion, account, how, last):
    """Nothing is uploaded, made or changed; the calls are in their order."""
    before = account.objects()
    ended = retrain(champion, "--dry-run", *how)
    assert ended.code == 0, ended.err
    commands = [each["command"] for each in ended.json()]
    assert commands[0].startswith("aws s3 cp ")
    assert commands[-1].startswith(f"aws sagemaker {last} ")
    assert (account.calls, account.objects()) == ([], before)


def test_rows_whose_request_is_not_known_are_not_trained_on(tmp_path, monkeypatch, capsys):
    """Of an answer alone, or beside an unreadable request, only the label is known."""
    monkeypatch.setattr(module.challengers, "champion", lambda *_: Champion(str(tmp_path), ""))
    watched.train(tmp_path)
    (tmp_path / "labels.csv").write_text("inference_id,price\na,1\nb,2\nc,3\n")
    (tmp_path / "captured.jsonl").write_bytes(
        event(side("5,flat"), side("15"), "a", at=1)
        + event(side("much,flat"), side("16"), "b", at=2)
        + event(None, side("17"), "c", at=3)
    )
    places = (str(tmp_path / each) for each in ("captured.jsonl", "labels.csv"))
    file = module.labelled(None, "toys", *places, "", tmp_path)
    assert file.read_text().splitlines() == ["price,size,kind", "1.0,5.0,flat"]
    assert "2 captured rows are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "name the new rows: --new FILE, or --labels FILE"),
        (["--new", "nowhere", "--data", "data"], "'nowhere' does not exist"),
        (["--new", "new.csv", "--name", "other"], "there is no endpoint other"),
        (["--new", "new.csv"], "no data to train with"),
        (
            ["--new", "new.csv", "--data", "data", "--set", f"a={'b' * 300}"],
            "longer than the 256 characters",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_once(champion, account, monkeypatch, given, why):
    """Before anything is made."""
    monkeypatch.chdir(champion.settings.parent)
    ended = champion("retrain", *given)
    assert ended.code == ExitCode.USAGE
    assert why in ended.err
    assert account.calls == []
