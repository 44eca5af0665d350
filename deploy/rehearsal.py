"""
--local: the same commands on the local cloud, with the bucket and the role that it has.
"""

import os
import shlex
import subprocess
from dataclasses import replace

from deploy.errors import UsageError
from deploy.settings import TOP, Settings

ROLE = "arn:aws:iam::123456789012:role/rehearsal"
BUCKET = "rehearsal"


def prepare(settings: Settings) -> Settings:
    """
    Set the variables that local_test/cloud.sh prints; return settings with its role and bucket.

    Raises UsageError when no local cloud runs.
    """
    script = TOP / "local_test/cloud.sh"
    done = subprocess.run([script, "status"], capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise UsageError("no local cloud runs; start it: local_test/cloud.sh start")
    for line in done.stdout.splitlines():
        command, *words = shlex.split(line, comments=True) or [""]
        for word in words:
            name, _, value = word.partition("=")
            if command == "export":
                os.environ[name] = value
            elif command == "unset":
                os.environ.pop(name, None)
    return replace(settings, role=ROLE, bucket=BUCKET)
