"""Script mode in its image, as SageMaker runs it."""

import os

import pytest

from containers import Job, built, server

FOLDER = "examples/script_mode/script_mode_model"
FLOWERS = ["5.1,3.5,1.4,0.2,setosa", "6.2,2.9,4.3,1.3,versicolor"] * 20
# Nothing may be written but what is mounted.
READ_ONLY = ("--read-only", "--tmpfs", "/tmp")


@pytest.mark.docker
def test_scripts_train_and_serve_in_their_image(tmp_path):
    """train.py and inference.py of the example run unchanged, with a read-only root too."""
    data = tmp_path / "data" / "2026"  # keys below the prefix keep their folders
    data.mkdir(parents=True)
    (data / "flowers.csv").write_text("\n".join(["a,b,c,d,species", *FLOWERS]) + "\n")
    job = Job(tmp_path / "ml", data.parent, **{"n-estimators": 9, "max-depth": 3})
    tag = f"container-suite/script-mode:{os.getpid()}"
    with built(tag, "--algorithm", FOLDER):
        assert job.train(tag, "train", options=READ_ONLY) == 0, job.log
        assert "train:accuracy=1.0000;" in job.log
        assert job.files() == ["model.joblib", "openapi.json"]
        with server(tag, job.model, READ_ONLY) as started:
            answer = started.predict(b"[[6.2, 2.9, 4.3, 1.3]]", "application/json")
            assert answer.status == 200, answer.body
            assert answer.json == [{"setosa": 0.0, "versicolor": 1.0}]
            assert started.stop() == 0
