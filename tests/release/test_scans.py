"""The scans of an image: Python's packages before the push, ECR's findings after it."""

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import aws
from project import TOP, clone
from workflows import environment

FINDINGS = {"worse": {"CRITICAL": 1, "HIGH": 2}, "bad": {"HIGH": 2}}


@pytest.mark.docker
def test_the_packages_of_the_image_are_asked_about(image, advisories, tmp_path):
    """
    1. nothing is known 2. a package of the image has a vulnerability 3. it is accepted.
    Result: 0, 1 with its id, 0; what was asked about is what the image installs. What cannot be
    shown here is the real database: that of this machine stands in for it.
    """
    folder = clone(tmp_path / "clone")
    environment(folder, ".github/release", "requirements-scan.txt", Path(sys.prefix))

    def scan() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [folder / ".github/release/scan.sh", image],
            env=os.environ | advisories.environment() | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    done = scan()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"flask", "gunicorn", "numpy"} <= advisories.asked
    assert "pytest" not in advisories.asked

    advisories.known = {"gunicorn": "GHSA-TEST-1"}
    done = scan()
    assert done.returncode == 1, done.stderr
    assert "gunicorn" in done.stdout
    assert "GHSA-TEST-1" in done.stdout

    with (folder / ".github/release/accepted.txt").open("a", encoding="utf-8") as file:
        file.write("GHSA-TEST-1 nginx stands in front, until 2030-01-01\n")
    done = scan()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("jq")
def test_what_ecr_finds_ends_the_release(tmp_path):
    """
    1. there is no scan 2. it has CRITICAL findings 3. it has HIGH ones 4. which end it, if told.
    Result: 1 with the remedy, 1 with the count, 0, 1.
    """
    with aws.api() as api:
        ecr, digests = api.ecr(), {}
        ecr.create_repository(repositoryName="pushed")
        for name in FINDINGS:
            manifest = {"schemaVersion": 2, "mediaType": aws.DOCKER_V2, "layers": [], "name": name}
            digests[name] = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
            ecr.put_image(
                repositoryName="pushed",
                imageTag=name,
                imageManifest=json.dumps(manifest),
                imageDigest=digests[name],
            )

        def findings(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
            environ = aws.environment(tmp_path, **aws.credentials(api), **variables)
            return subprocess.run(
                [TOP / ".github/release/findings.sh", f"pushed@{digests[name]}"],
                env=environ | {"AWS_DEFAULT_REGION": aws.REGION},
                capture_output=True,
                text=True,
            )

        done = findings("worse", PATIENCE="0")
        assert done.returncode == 1
        assert "turn 'scan on push' on" in done.stderr

        results = [
            {
                "imageScanFindings": {"findingSeverityCounts": counts},
                "registryId": aws.ACCOUNT,
                "repositoryName": "pushed",
                "imageId": {"imageDigest": digests[name]},
                "imageScanStatus": {"status": "COMPLETE"},
            }
            for name, counts in FINDINGS.items()
        ]
        order = json.dumps({"results": results, "region": aws.REGION}).encode()
        address = f"{api.url}/moto-api/static/ecr/scan-finding-results"
        kind = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(address, order, kind)).close()
        for name, digest in digests.items():
            ecr.start_image_scan(repositoryName="pushed", imageId={"imageDigest": digest})
            done = findings(name)
            assert done.returncode == (1 if "CRITICAL" in FINDINGS[name] else 0), done.stderr
            assert '"HIGH":2' in done.stdout
        assert findings("bad", FAIL_ON="LOW HIGH").returncode == 1
