"""The templates: clean, and each with what it promises."""

import subprocess
import sys
from pathlib import Path

from project import TOP

TEMPLATES = sorted((TOP / "infra").glob("*.yaml"))


def test_cfn_lint_finds_nothing():
    """Neither errors nor warnings nor what it only informs of."""
    command = [Path(sys.executable).with_name("cfn-lint"), "-c", "I", "-t", *TEMPLATES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
