"""deploy.sh evaluate: rows, the model in service, the verdict; its jobs run in tests/release."""

import pytest
from deploy import evaluation
from deploy.errors import ExitCode, Failed

ROWS = "price,size\n3,1\n6,2\n"


@pytest.fixture
def served(run, tmp_path):
    """An endpoint that serves the archive of a model."""
    ended = run("realtime", "--model", tmp_path / "model", "--image", "toys:v1", "--json")
    assert ended.code == 0, ended.err
    return ended.json()


def test_without_an_endpoint_there_is_nothing_to_compare_with(run, tmp_path):
    """A first model is not held up."""
    ended = run("evaluate", tmp_path / "rows.csv", "--label", "price", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["verdict"] == "first"


def test_both_models_are_asked_in_their_own_images(run, served, account, tmp_path):
    """The dry run shows a batch job for the model in service and one for the other."""
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/weights").write_text("4 5 6", encoding="utf-8")
    command = ["evaluate", tmp_path / "rows.csv", "--label", "price"]
    command += ["--model", tmp_path / "other", "--image", "toys:v1", "--dry-run"]
    ended = run(*command)
    assert ended.code == 0, ended.err
    planned: dict[str, list] = {}
    for each in ended.json():
        planned.setdefault(each["command"].split()[2], []).append(each.get("input"))
    models = [each["PrimaryContainer"] for each in planned["create-model"]]
    described = account.client("sagemaker").describe_model(ModelName=served["model"])
    assert models[0] == described["PrimaryContainer"]
    assert models[1]["ModelDataUrl"] != models[0]["ModelDataUrl"]
    first, second = planned["create-transform-job"]
    assert first["ModelName"] != second["ModelName"]
    assert first["TransformInput"] == second["TransformInput"]


def test_without_waiting_there_is_nothing_to_compare(run, account, tmp_path):
    """It is refused before any job."""
    ended = run("evaluate", tmp_path / "rows.csv", "--label", "price", "--no-wait")
    assert (ended.code, account.calls) == (ExitCode.USAGE, [])
    assert "leave --no-wait out" in ended.err


def test_the_label_is_not_asked(run, served, tmp_path):
    """A column that is not there is refused with those that are."""
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    ended = run("evaluate", tmp_path / "rows.csv", "--label", "prize")
    assert ended.code == ExitCode.USAGE
    assert "--label is 'prize'; expected a column of price, size" in ended.err
    labels, questions = evaluation.split([["price", "size"], ["3", "1"]], "price")
    assert (labels, questions) == (["3"], [["size"], ["1"]])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no rows"),
        ({"a.csv": "price,size\n"}, "holds no rows"),
        ({"a.csv": ROWS, "b.csv": "size,price\n1,3\n"}, "a file has the header"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(run, served, tmp_path, files, said):
    """With what is wrong with them."""
    (tmp_path / "rows").mkdir()
    for name, text in files.items():
        (tmp_path / "rows" / name).write_text(text, encoding="utf-8")
    ended = run("evaluate", tmp_path / "rows", "--label", "price")
    assert ended.code == ExitCode.USAGE
    assert said in ended.err
    ended = run("evaluate", tmp_path / "absent", "--label", "price")
    assert "does not exist" in ended.err


def test_rows_go_in_files_with_a_header_each(tmp_path, monkeypatch):
    """No request is too large, and each names its columns."""
    monkeypatch.setattr(evaluation, "ROWS_A_FILE", 2)
    evaluation.write([["size"], ["1"], ["2"], ["3"]], tmp_path / "rows")
    found = [path.read_text() for path in sorted((tmp_path / "rows").iterdir())]
    assert found == ["size\n1\n2\n", "size\n3\n"]


def test_each_row_needs_an_answer(tmp_path):
    """Of several values the first counts; a missing line fails the comparison."""
    (tmp_path / "answers").write_text("3.0,0.9\n6.0,0.8\n", encoding="utf-8")
    assert evaluation.predictions(tmp_path / "answers", 2) == ["3.0", "6.0"]
    with pytest.raises(Failed, match="2 answers for 3 rows"):
        evaluation.predictions(tmp_path / "answers", 3)


@pytest.mark.parametrize(("off", "verdict"), [(0, "better"), (4, "worse"), (1, "undecided")])
def test_the_verdict_is_of_numbers_and_of_texts(off, verdict):
    """By the paired difference; a text is right or wrong."""
    labels = [number % 7 for number in range(70)]
    answers = [[str(each + by) for each in labels] for by in (0, 1, off)]
    assert evaluation.compared(*answers)["verdict"] == verdict
    texts = [[f"cat {each}" for each in column] for column in answers]
    assert evaluation.compared(*texts)["verdict"] == ("undecided" if off else "better")
