"""Models of seven kinds are brought in by a few lines each: they train and serve as processes."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import Answer, ServeProcess, wait_until
from http_assertions import assert_error
from jobs import train
from project import assemble

# Script mode, the fourth of the seven, stands in tests/runtime/test_script_serving.py.
MODELS = Path(__file__).parent / "models"
CSV, JSON, NPY, PNG = "text/csv", "application/json", "application/x-npy", "image/png"
GB = 1e9


@contextmanager
def served(
    folder: Path, name: str, data: str = "", *helpers: str, trained: bool = True, **environ: str
) -> Iterator[ServeProcess]:
    """Train a model of MODELS on a CSV file and serve it."""
    source = (MODELS / f"{name}.py").read_text(encoding="utf-8")
    program, root = assemble(folder / "program", source, name), folder / "ml"
    for helper in helpers:
        (program / name / helper).write_text((MODELS / helper).read_text(encoding="utf-8"))
    if data:
        (root / "input/data/training").mkdir(parents=True)
        (root / "input/data/training/data.csv").write_text(data, encoding="utf-8")
    if trained:
        done = train(program, root)
        assert done.returncode == 0, done.stderr
    with ServeProcess(program, root=root, environ=environ, allowed=["invalid_value"]) as serve:
        serve.wait_for_ping(60)
        yield serve


def ask(serve: ServeProcess, body: bytes | str, content_type: str, accept: str = JSON) -> Answer:
    headers = {"Content-Type": content_type, "Accept": accept}
    answer = serve.call("/invocations", body, headers=headers, timeout=60)
    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == accept
    return answer


def test_a_classifier_of_texts_and_gaps(tmp_path):
    """Text columns and missing values reach the model; label and probability come back."""
    rows = ["39,NA,40,>50K", ",DE,20,<=50K", "41,NA,45,>50K", "25,,20,<=50K"] * 10
    data = "\n".join(["age,country,hours,income", *rows]) + "\n"
    with served(tmp_path, "classifier", data) as serve:
        records = {"instances": [{"age": 40, "country": "NA", "hours": 42},
                                 {"age": None, "country": "DE", "hours": 21}]}  # fmt: skip
        answer = ask(serve, json.dumps(records), JSON)
        first, second = answer.json["predictions"]
        assert list(first) == ["label", "probability"]
        assert (first["label"], second["label"]) == (">50K", "<=50K")
        assert 0.5 < first["probability"] < 1
        answer = ask(serve, "age,country,hours\n40,NA,42\n,,21\n", CSV, CSV)
        labels = [row[0] for row in csv.reader(io.StringIO(answer.body.decode()))]
        assert labels == [">50K", "<=50K"]


def test_pictures_and_arrays(tmp_path):
    """The same picture is answered as a PNG and as an array of pixels."""
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[..., 1] = 200
    png, npy = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(png, "png")
    np.save(npy, pixels)
    expected = {"size": [3, 2], "mean": {"red": 0, "green": 200, "blue": 0}}
    with served(tmp_path, "picture") as serve:
        assert ask(serve, png.getvalue(), PNG).json == expected
        assert ask(serve, npy.getvalue(), NPY).json == expected


def test_nested_json(tmp_path):
    """{"inputs", "parameters"} is answered by a list of objects; a bad parameter is a 422."""
    with served(tmp_path, "generation") as serve:
        request = {"inputs": "be to be or", "parameters": {"top": 2}}
        assert ask(serve, json.dumps(request), JSON).json == [
            {"word": "be", "details": {"count": 2, "score": None}},
            {"word": "to", "details": {"count": 1, "score": None}},
        ]
        request["parameters"] = {"top": "many"}
        answer = serve.call("/invocations", json.dumps(request), headers={"Content-Type": JSON})
        error = assert_error(answer, 422, "invalid_value")
        assert "parameters.top is 'many'" in error["message"]


def test_series(tmp_path):
    """Lists come in by JSON and inside a field of CSV, and go out as long as each row asks for."""
    with served(tmp_path, "series") as serve:
        record = {"start": "2024-02-28", "target": [1, 2], "steps": 3}
        expected = [{"start": "2024-03-01", "forecast": [3.0, 4.5, 6.75]}]
        assert ask(serve, json.dumps(record), JSON).json == {"predictions": expected}
        body = 'start,target,steps\n2024-02-28,"[1, 2]",3\n2024-01-01,[4],1\n'
        answer = ask(serve, body, CSV, CSV)
        assert list(csv.reader(io.StringIO(answer.body.decode()))) == [
            ["2024-03-01", "[3.0,4.5,6.75]"],
            ["2024-01-02", "[6.0]"],
        ]


def test_a_pipeline_of_bools_and_dates(tmp_path):
    """joblib unpickles a class of the package; bool and date columns make the fitted DataFrame."""
    days = [(day, day % 2, day % 3) for day in range(28)]
    rows = [f"2024-01-{day + 1:02},{bool(a)},{v},{10 + day + 5 * a + v}" for day, a, v in days]
    data = "\n".join(["signed_up,active,visits,spent", *rows]) + "\n"
    with served(tmp_path, "pipeline", data, "dates.py") as serve:
        body = json.dumps({"signed_up": "2024-02-10T00:00:00Z", "active": True, "visits": 1})
        (spent,) = ask(serve, body, JSON).json["predictions"]
        assert spent == pytest.approx(10 + 40 + 5 + 1)
        answer = ask(serve, "2024-02-10,False,1\n", CSV, CSV)
        assert float(answer.body) == pytest.approx(10 + 40 + 1)


@pytest.mark.parametrize("way", ["mapped", "preloaded"])
def test_a_large_array_is_shared(tmp_path, way):
    """
    1. A model of 1.5 GB is served by two workers, mapped from its file or loaded before they fork.
    2. Both workers have looked at all of it.
    Result: together, all processes take less than 1.7 GB.
    """
    (tmp_path / "ml/model").mkdir(parents=True)
    array = np.lib.format.open_memmap(
        tmp_path / "ml/model/vectors.npy", "w+", np.float32, (3_750_000, 100)
    )
    array[:, 0] = 1  # some of each page, so that none is a hole of the file
    array.flush()
    del array
    environ = {"MODEL_SERVER_WORKERS": "2"}
    if way == "preloaded":
        environ |= {"IN_MEMORY": "1", "MODEL_SERVER_PRELOAD": "on"}
    with served(tmp_path, "large", trained=False, **environ) as serve:
        processes = _descendants(serve.process.pid)

        def both_have_looked() -> bool:
            serve.call("/ping")  # each worker tests itself at its first one
            return sum(_pss(each) > 0.4 * GB for each in processes) >= 2

        wait_until(both_have_looked, what="both workers have looked at the array")
        assert ask(serve, "3\n", CSV, CSV).body.strip() == b"3750001.0"
        assert 1.4 * GB < sum(map(_pss, processes)) < 1.7 * GB


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _descendants(int(child)))]


def _pss(pid: int) -> int:
    """The memory of a process in bytes, where pages that it shares count by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no Pss")
