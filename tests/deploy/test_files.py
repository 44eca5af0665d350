"""Files that go in and answers that come out."""

import pytest
from deploy.errors import ExitCode


def test_an_upload_that_is_refused_is_told_as_such(run, tmp_path):
    """Exit code 3 and AWS's words, without a traceback."""
    run.lines[2] = 'bucket = "none-such"'
    ended = run("train", "--data", tmp_path / "data")
    assert ended.code == 3
    assert "AWS refused: Failed to upload" in ended.err


def test_the_place_of_the_answers_is_looked_at_first(run, account, tmp_path):
    """A batch of hours does not end at a folder that is not there."""
    place = tmp_path / "none/answers.csv"
    ended = run("batch", tmp_path / "data", "--model", tmp_path / "model", "--into", place)
    assert (ended.code, account.calls, account.objects()) == (ExitCode.USAGE, [], [])
    assert f"there is no folder {place.parent}" in ended.err


@pytest.mark.parametrize("place", ["questions", "deep/questions"])
def test_a_folder_is_one_with_and_without_a_slash(run, account, tmp_path, place):
    """Its answers are looked for at the same place, and the job is the same."""
    key = f"{place}/a.csv"
    account.client("s3").put_object(Bucket="toys-bucket", Key=key, Body=b"1,2\n")
    batch = ["batch", "--model", tmp_path / "model", "--json", "--no-wait"]
    made = run(*batch, f"s3://toys-bucket/{place}").json()
    assert run(*batch, f"s3://toys-bucket/{place}/").json()["answers"] == made["answers"]
    answers = made["answers"].removeprefix("s3://toys-bucket/")
    account.client("s3").put_object(Bucket="toys-bucket", Key=f"{answers}a.csv.out", Body=b"3\n")
    again = run(*batch, f"s3://toys-bucket/{place}")
    assert "all 1 files have their answers" in again.err
