"""The hosts of a job."""

import json

import pytest

from sagemaker_runtime.errors import ConfigurationError
from sagemaker_runtime.training.resource_config import Resources

REAL = {
    "current_host": "algo-2",
    "hosts": ["algo-1", "algo-2"],
    "network_interface_name": "eth1",
    "current_instance_type": "ml.m5.large",
    "current_group_name": "workers",
    "instance_groups": [],
}


def write(folder, content):
    path = folder / "resourceconfig.json"
    path.write_text(json.dumps(content))
    return path


def test_the_platforms_file_is_read(tmp_path):
    """Each of its keys has its field."""
    found = Resources.read(write(tmp_path, REAL))
    assert found == Resources(("algo-1", "algo-2"), "algo-2", "eth1", "ml.m5.large", "workers")


@pytest.mark.parametrize("content", [{}, {"hosts": []}, {"hosts": None, "current_host": None}])
def test_keys_may_be_absent(tmp_path, content):
    """Without the platform there is one host."""
    assert Resources.read(write(tmp_path, content)) == Resources()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"hosts": "algo-1"}, "has 'algo-1' for hosts; expected a list of names"),
        ({"hosts": {"algo-1": 1}}, "for hosts"),
        ({"hosts": ["algo-1", 2]}, "for hosts"),
        ({"hosts": 1}, "has 1 for hosts"),
        ({"hosts": ["algo-1", "algo-1"]}, "expected each name once"),
        ({"hosts": ["algo-1", "algo-2"], "current_host": "algo-3"}, "expected one of the hosts"),
        ({"current_host": ["algo-1"]}, "for current_host; expected a text"),
        ({"current_instance_type": {}}, "for current_instance_type"),
    ],
)
def test_another_form_is_refused(tmp_path, content, words):
    """A text is not taken for a list of letters, nor anything else for a host."""
    with pytest.raises(ConfigurationError) as caught:
        Resources.read(write(tmp_path, content))
    assert str(caught.value).startswith("resourceconfig.json ")
    assert words in str(caught.value)
