"""Script mode serves: the functions of an unchanged ``inference.py``, or AWS's defaults."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from harness import ServeProcess
from http_assertions import assert_error
from jobs import train, write_hyperparameters
from project import TOP, assemble
from sagemaker_runtime.errors import (
    AlgorithmError,
    Malformed,
    ModelError,
    NotAcceptable,
    UnsupportedMediaType,
)
from sagemaker_runtime.script_mode import ScriptMode, defaults

FOLDER = TOP / "examples/script_mode/script_mode_model"
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
MODEL = "def model_fn(model_dir): return 'the model'\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package's folder; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def ask(package: Path, body: bytes, content_type: str = JSON, accept: str = JSON) -> bytes:
    """Load the scripts and pass one request through them."""
    mode = ScriptMode(package)
    model = mode.load(package.parent / "model")
    (piece,) = mode.input.read(io.BytesIO(body), content_type, "utf-8")
    content = mode.output.write([(mode.predict(model, piece), mode.input.count(piece))], accept)
    assert isinstance(content, bytes)
    return content


def saved(array: np.ndarray) -> bytes:
    """The bytes of an npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_unchanged_pair_trains_and_serves(tmp_path):
    """
    1. train.py of the example is trained on two flowers.
    2. serve is started with what it saved, and inference.py, whose helper it unpickles.
    Result: CSV and JSON are read and written, the self-test asks example.csv.
    """
    program, root = assemble(tmp_path / "program", FOLDER), tmp_path / "ml"
    data = root / "input/data/training/flowers.csv"
    data.parent.mkdir(parents=True)
    rows = ["5.1,3.5,1.4,0.2,setosa", "6.2,2.9,4.3,1.3,versicolor"] * 20
    data.write_text("\n".join(["a,b,c,d,species", *rows]) + "\n")
    write_hyperparameters(root, **{"n-estimators": 9})
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert "train:accuracy=1.0000;" in done.stdout
    with ServeProcess(program, root=root, allowed=["unsupported accept type"]) as serve:
        serve.wait_for_ping(60)
        answer = serve.call("/invocations", b"5.1,3.5,1.4,0.2\n", headers={"Content-Type": CSV})
        assert answer.status == 200, answer.body
        assert answer.headers["Content-Type"] == JSON
        assert answer.json == [{"setosa": 1.0, "versicolor": 0.0}]
        headers = {"Content-Type": JSON, "Accept": JSON}
        answer = serve.call("/invocations", b"[[6.2, 2.9, 4.3, 1.3]]", headers=headers)
        assert answer.json == [{"setosa": 0.0, "versicolor": 1.0}]
        headers = {"Content-Type": JSON, "Accept": CSV}
        answer = serve.call("/invocations", b"[[6.2, 2.9, 4.3, 1.3]]", headers=headers)
        assert answer.body == b"0.0,1.0\n"
        headers = {"Content-Type": JSON, "Accept": "image/png"}
        answer = serve.call("/invocations", b"[[6.2, 2.9, 4.3, 1.3]]", headers=headers)
        assert_error(answer, 500, "internal_error")
        assert not serve.log("no self-test")


def test_without_an_example_the_model_is_only_loaded(tmp_path):
    """
    /ping answers when the model has been loaded, and one line says that no more was tested; the
    answer has the Content-Type that the script returns.
    """
    (tmp_path / "model").mkdir()
    program = assemble(tmp_path / "program", (FOLDER / "__init__.py").read_text(), "scripts")
    transform = "def transform_fn(model, data, content_type, accept): return data, content_type\n"
    (program / "scripts/inference.py").write_text(MODEL + transform)
    with ServeProcess(program, root=tmp_path, environ={"MODEL_SERVER_WORKERS": "1"}) as serve:
        serve.wait_for_ping()
        assert len(serve.log("no self-test: there is no example")) == 1
        headers = {"Content-Type": "image/png", "Accept": "image/webp"}
        answer = serve.call("/invocations", b"\x89PNG", headers=headers)
        assert answer.status == 200, answer.body
        assert answer.body == b"\x89PNG"
        assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        ("1,2.5\n3,\n", CSV, [[1, 2.5], [3, np.nan]]),
        ("1,2,3", CSV, [[1, 2, 3]]),
        ("1\n2\n", CSV, [[1], [2]]),
        ("[1, null]", JSON, [[1, np.nan]]),
        ("[[1], [2]]", JSON, [[1], [2]]),
        (saved(np.array([1, 2])), NPY, [[1, 2]]),
    ],
)
def test_the_default_input_is_an_array_of_rows(content, content_type, expected):
    """A single row has two dimensions too; what is text becomes float32, npy keeps its type."""
    array = defaults.input_fn(content, content_type)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == (np.int64 if content_type == NPY else np.float32)


def test_the_default_input_reads_sparse_matrices():
    """npz is what scipy saves."""
    file = io.BytesIO()
    sparse.save_npz(file, sparse.csr_matrix([[0, 2.0]]))
    matrix = defaults.input_fn(file.getvalue(), "application/x-npz")
    assert matrix.toarray().tolist() == [[0, 2]]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("a,b\n1,2\n", CSV),
        ("1,2\n3\n", CSV),
        ("", CSV),
        ("{", JSON),
        ("[]", JSON),
        ('{"instances": [[1]]}', JSON),
        (b"PK", NPY),
        (saved(np.array([{}], object)), NPY),
        (b"PK", "application/x-npz"),
    ],
)
def test_the_default_input_refuses_what_it_cannot_read(content, content_type):
    """The caller is told what is expected; nothing is unpickled."""
    with pytest.raises(Malformed, match=f"not {content_type} that can be read.*Write an input_fn"):
        defaults.input_fn(content, content_type)


def test_other_types_need_functions_of_the_script():
    """Neither default guesses."""
    with pytest.raises(UnsupportedMediaType, match=r"'image/png'.*Write an input_fn"):
        defaults.input_fn(b"", "image/png")
    with pytest.raises(NotAcceptable, match=r"'image/png'.*Write an output_fn"):
        defaults.output_fn([1], "image/png")


@pytest.mark.parametrize(
    ("prediction", "accept", "expected"),
    [
        (np.array([1.5, np.nan]), JSON, b"[1.5,null]"),
        (np.array(["a", "b"]), JSON, b'["a","b"]'),
        (
            {"label": np.str_("a"), "scores": [np.float32(0.5)]},
            JSON,
            b'{"label":"a","scores":[0.5]}',
        ),
        (np.array([[1, 2], [3, 4]]), CSV, b"1,2\n3,4\n"),
        (["a", "b"], CSV, b"a\nb\n"),
        (0.5, CSV, b"0.5\n"),
        (np.array([1.0]), NPY, saved(np.array([1.0]))),
    ],
)
def test_the_default_output(prediction, accept, expected):
    """Arrays, lists, numbers and what JSON can hold besides are written as AWS's encoders do."""
    assert defaults.output_fn(prediction, accept) == expected


def test_each_function_of_the_script_is_called(package):
    """input_fn gets text for CSV, predict_fn the model, output_fn what Accept asks."""
    source = (
        "def input_fn(data, content_type): return [data, content_type]\n"
        "def predict_fn(data, model): return [*data, model]\n"
        "def output_fn(prediction, accept): return repr([*prediction, accept])\n"
    )
    (package / "inference.py").write_text(MODEL + source)
    answer = ask(package, b"1,2", CSV, "text/plain")
    assert answer == b"['1,2', 'text/csv', 'the model', 'text/plain']"
    assert ask(package, b"1,2", "image/png").startswith(b"[b'1,2', 'image/png'")


def test_a_function_may_take_a_context(package):
    """Newer toolkits pass one; here it is None."""
    source = (
        "def model_fn(model_dir, context): return context\n"
        "def predict_fn(data, model, context=5): return [model is None, context]\n"
    )
    (package / "inference.py").write_text(source)
    assert ask(package, b"[1]") == b"[true,5]"


def test_a_script_that_returns_something_else_is_told(package):
    """A dict is neither text nor bytes."""
    (package / "inference.py").write_text(
        MODEL + "def transform_fn(model, data, content_type, accept): return {}\n"
    )
    with pytest.raises(AlgorithmError, match=r"returned dict; expected text or bytes.*json\.dumps"):
        ask(package, b"1")


def test_code_in_the_model_takes_precedence(package):
    """A job's own code is in code/ of its model; the package serves where that has no script."""
    predict = "def predict_fn(data, model): return "
    (package / "inference.py").write_text(MODEL + predict + "'package'\n")
    code = package.parent / "model/code"
    code.mkdir(parents=True)
    (code / "fit.py").write_text("")
    assert ask(package, b"[1]") == b'"package"'
    del sys.modules["inference"]
    (code / "fit.py").write_text(MODEL + predict + "'job'\n")
    assert ask(package, b"[1]") == b'"job"'


def test_the_environment_may_name_the_script(package, monkeypatch):
    """SAGEMAKER_PROGRAM, which SageMaker's SDKs set, goes before inference.py."""
    (package / "inference.py").write_text(MODEL)
    (package / "other.py").write_text(MODEL + "def predict_fn(data, model): return 1\n")
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "other.py")
    assert ask(package, b"[1]") == b"1"


@pytest.mark.parametrize(
    ("scripts", "message"),
    [
        ({}, "neither .*code nor .*package holds inference.py, nor another script"),
        ({"inference.py": ""}, "inference.py has no model_fn; define it"),
        ({"a.py": MODEL, "b.py": MODEL}, r"several scripts with a model_fn \(a.py, b.py\)"),
        (
            {"inference.py": MODEL + "transform_fn = input_fn = print\n"},
            "transform_fn beside input_fn; transform_fn reads, predicts and writes by itself",
        ),
        ({"inference.py": "import a_library_of_nobody\n"}, "which is not installed; add it to req"),
        (
            {"inference.py": MODEL, "numpy.py": ""},
            "numpy.py has the name of a module that serving uses .*such as my_numpy",
        ),
    ],
)
def test_scripts_that_cannot_serve_are_told(package, scripts, message):
    """What is missing, double or in the way is named."""
    for name, source in scripts.items():
        (package / name).write_text(source)
    with pytest.raises(ModelError, match=message):
        ScriptMode(package).load(package.parent / "model")


def test_code_that_would_be_fetched_when_serving_is_refused(package, monkeypatch):
    """A model's code must be in its archive."""
    (package / "inference.py").write_text(MODEL)
    monkeypatch.setenv("SAGEMAKER_SUBMIT_DIRECTORY", "s3://code/sourcedir.tar.gz")
    with pytest.raises(ModelError, match="nothing is fetched when serving"):
        ScriptMode(package).load(package.parent / "model")


def test_the_default_answer_type_may_be_set(monkeypatch):
    """SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is AWS's variable for it."""
    output = ScriptMode(FOLDER).output
    assert output.media_types == (JSON, "*/*")
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
    assert output.media_types == (CSV, "*/*")


def test_text_in_another_charset_is_decoded(package):
    """The Content-Type's charset holds; what it cannot be is the caller's fault."""
    mode = ScriptMode(package)
    (piece,) = mode.input.read(io.BytesIO(b"\xe9"), CSV, "iso-8859-1")
    assert piece.content == "é"
    with pytest.raises(Malformed, match="the body is not utf-8"):
        list(mode.input.read(io.BytesIO(b"\xe9"), CSV, "utf-8"))


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("example.csv", CSV),
        ("example.npy", NPY),
        ("example.png", "image/png"),
        ("example.bin", "application/octet-stream"),
    ],
)
def test_an_example_is_sent_as_what_its_name_says(package, name, content_type):
    """The suffix decides."""
    (package / name).write_bytes(json.dumps(name).encode())
    example = ScriptMode(package).input.example()
    assert example == (content_type, json.dumps(name).encode())
