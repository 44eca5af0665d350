"""Script mode trains: an unchanged ``train.py`` runs as AWS's training toolkit runs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs import files, stopped, train, write_hyperparameters
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.script_mode.training import last_error
from scripts import SAVE, write

# Tells what it was given instead of fitting anything.
TELL = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
told |= {"argv": sys.argv, "cwd": os.getcwd()}
with open(os.path.join(os.environ["SM_MODEL_DIR"], "told.json"), "w") as file:
    json.dump(told, file)
"""
WAIT = """
import os, pathlib, signal, sys

def end(number, frame):
    {end}

signal.signal(signal.SIGTERM, end)
print("fitting", flush=True)
while True:
    signal.pause()
"""


def told(program: Path, root: Path, **hyperparameters: object) -> dict[str, Any]:
    """What a script is given."""
    write(program, TELL)
    write_hyperparameters(root, **hyperparameters)
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    return json.loads((root / "model/told.json").read_text())


def test_hyperparameters_become_arguments(program, root):
    """Each becomes --name value as AWS's toolkit writes it, single letters -n, SageMaker's none."""
    given = told(
        program,
        root,
        rounds=300,
        rate="0.10",
        name='"forest"',
        quoted='"true"',
        deep="true",
        sizes="[1, 2]",
        options='{"b": 2, "a": "x"}',
        nothing="null",
        k="5",
        sagemaker_region='"eu-west-1"',
        _tuning_objective_metric="rmse",
    )
    assert given["argv"] == [
        "train.py",
        *("--deep", "True"),
        *("-k", "5"),
        *("--name", "forest"),
        *("--nothing", ""),
        *("--options", "a=x,b=2"),
        *("--quoted", "true"),
        *("--rate", "0.1"),
        *("--rounds", "300"),
        *("--sizes", "[1, 2]"),
    ]
    assert json.loads(given["SM_USER_ARGS"]) == given["argv"][1:]
    assert json.loads(given["SM_HPS"])["options"] == {"a": "x", "b": 2}
    assert given["SM_HP_ROUNDS"] == "300"
    assert given["SM_HP_DEEP"] == "true"
    framework = {"_tuning_objective_metric": "rmse", "sagemaker_region": "eu-west-1"}
    assert json.loads(given["SM_FRAMEWORK_PARAMS"]) == framework


def test_the_job_stands_in_variables(program, root):
    """Channels, folders, hosts and configurations have the names of AWS's toolkit."""
    config = root / "input/config"
    config.mkdir(parents=True)
    inputs = {"training": {"TrainingInputMode": "File"}, "eval-1": {}}
    (config / "inputdataconfig.json").write_text(json.dumps(inputs))
    groups = [{"instance_group_name": "one", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}]
    resources = {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
        "network_interface_name": "eth1",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "one",
        "instance_groups": groups,
    }
    (config / "resourceconfig.json").write_text(json.dumps(resources))
    (root / "input/data/training").mkdir(parents=True)
    given = told(program, root)

    expected = {
        "SM_CHANNEL_TRAINING": str(root / "input/data/training"),
        "SM_CHANNEL_EVAL-1": str(root / "input/data/eval-1"),
        "SM_CHANNELS": '["eval-1","training"]',
        "SM_INPUT_DIR": str(root / "input"),
        "SM_INPUT_CONFIG_DIR": str(config),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
        "SM_OUTPUT_INTERMEDIATE_DIR": str(root / "output/intermediate"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_NETWORK_INTERFACE_NAME": "eth1",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_CURRENT_INSTANCE_GROUP": "one",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1"]',
        "SM_IS_HETERO": "false",
        "SM_NUM_GPUS": "0",
        "SM_MODULE_NAME": "train",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_LOG_LEVEL": "20",
        "SM_HPS": "{}",
        "SM_FRAMEWORK_MODULE": "",
    }
    assert {name: given.get(name) for name in expected} == expected
    assert json.loads(given["SM_RESOURCE_CONFIG"]) == resources
    assert json.loads(given["SM_INPUT_DATA_CONFIG"]) == inputs
    assert int(given["SM_NUM_CPUS"]) >= 1
    environment = json.loads(given["SM_TRAINING_ENV"])
    assert environment["is_master"] is True
    assert environment["channel_input_dirs"]["training"] == given["SM_CHANNEL_TRAINING"]
    assert environment["model_dir"] == given["SM_MODEL_DIR"]
    assert given["SM_MODULE_DIR"] == given["cwd"]


def test_a_local_run_without_configuration_is_given_one_host(program, root):
    """Nothing but a folder of data is enough."""
    (root / "input/data/training").mkdir(parents=True)
    given = told(program, root)
    assert given["SM_CHANNEL_TRAINING"] == str(root / "input/data/training")
    assert json.loads(given["SM_HOSTS"]) == [given["SM_CURRENT_HOST"]] == ["algo-1"]


def test_the_script_may_write_to_its_folder_and_leave_by_sys_exit(program, root):
    """The package stays as it is, sys.exit(0) is success, and stdout and stderr pass through."""
    write(program, SAVE + "import sys, helper; print('out'); print('err', file=sys.stderr)\n")
    with (program / "scripts/train.py").open("a") as file:
        file.write("open('scratch', 'w').close()\nsys.exit(0)\n")
    write(program, "", "helper.py")
    write(program, "def model_fn(model_dir): return None\n", "inference.py")
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert "\nout\n" in done.stdout
    assert done.stderr == "err\n"
    assert files(root / "model") == ["model.txt", "openapi.json"]
    assert not (program / "scripts/scratch").exists()


def test_a_job_may_train_only(program, root):
    """Without an inference.py, which may come later, the model is published untested."""
    write(program, SAVE)
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert "NoServingCode: neither" in done.stderr
    assert "Traceback" not in done.stderr
    assert "the model is published untested" in done.stdout
    assert files(root / "model") == ["model.txt", "openapi.json"]


def test_a_model_in_the_platforms_own_folder_counts(program, root):
    """A script that names /opt/ml/model itself, without SM_MODEL_DIR, has its model published."""
    write(program, f"import pathlib\npathlib.Path({str(root / 'model')!r}, 'm.txt').touch()\n")
    (root / "model").mkdir(parents=True)
    done = train(program, root)
    assert done.returncode == 0, done.stderr
    assert files(root / "model") == ["m.txt", "openapi.json"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ValueError('no rows')", "ValueError: no rows (train.py ended with exit code 1)"),
        (
            "raise ValueError('All 5 fits failed.\\nBelow are details')",
            "ValueError: All 5 fits failed. Below are details (train.py ended with exit code 1)",
        ),
        ("import sys; sys.exit('no data')", "no data (train.py ended with exit code 1)"),
        ("import sys; sys.exit(3)", "no error was printed (train.py ended with exit code 3)"),
        (
            "import argparse; argparse.ArgumentParser().parse_args()",
            "train.py: error: unrecognized arguments: --depth 3 (train.py ended with exit code 2)",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            "train.py was ended by SIGKILL; most likely memory ran out: choose a larger instance.",
        ),
        (
            "import os, sys; open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('mine')\n"
            "sys.exit(1)",
            "mine (train.py ended with exit code 1)",
        ),
        ("pass", "train.py ended well but wrote no model; save it into the folder that SM_MODEL"),
    ],
)
def test_a_failing_script_is_the_failure_reason(program, root, source, reason):
    """The last error that it printed is what the platform shows, and no model is left."""
    write(program, source)
    write_hyperparameters(root, depth=3)
    done = train(program, root)
    assert done.returncode == ExitCode.UNEXPECTED
    assert (root / "output/failure").read_text().startswith(reason)
    assert files(root / "model") == []


def test_the_last_error_is_found_in_a_tail():
    """Of two tracebacks the last counts, warnings before it do not."""
    chained = (
        "UserWarning: old\nTraceback (most recent call last):\n  File 'a'\nKeyError: 'x'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n  File 'b'\n    f()\n    ~^^\npackage.Bad: the cause\n"
    )
    assert last_error(chained) == "package.Bad: the cause"
    assert last_error("") == ""


KEPT = ["model.txt", "openapi.json"]


@pytest.mark.parametrize(
    ("end", "code", "left"),
    [
        (SAVE.strip().replace("\n", "\n    ") + "\n    sys.exit(0)", ExitCode.OK, KEPT),
        (SAVE.strip().replace("\n", "\n    ") + "\n    sys.exit(9)", ExitCode.OK, KEPT),
        ("sys.exit(0)", ExitCode.STOPPED, []),
    ],
)
def test_sigterm_is_passed_on(program, root, end, code, left):
    """
    1. The script prints that it fits.
    2. SIGTERM reaches train.
    Result: the script gets it; what it has saved becomes the model, nothing is reported as 143.
    """
    write(program, WAIT.format(end=end))
    returned, log = stopped(program, root, at="fitting", within_s=30)
    assert returned == code, log
    assert files(root / "model") == left
