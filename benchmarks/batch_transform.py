"""
Measures a batch transform job of 1 GB of CSV in pieces of 100 MB on the local cloud: the sample in
this project's image, and its peer's model in the classic sample's stack in the same image.

    python benchmarks/batch_transform.py [--pieces N] [--piece-mb N]

writes benchmarks/results/batch_transform.json and the table of docs/performance.md, unless there
are fewer or smaller pieces than usual.
"""

import argparse
import io
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import boto3
import in_container
import report
from environments import FITTED, HERE, PEERS, Absent, fit
from machine import describe
from payloads import simulate, train
from subjects import SAMPLE, WORKERS

sys.path.insert(0, str(HERE.parent))

from local_cloud.server import REGION, local_cloud

PIECES, PIECE_MB = 10, 100.0
BUCKET = "pieces"
ROLE = "arn:aws:iam::123456789012:role/any"
CLASSIC = "benchmark-classic"
DOCKERFILE = f"""\
FROM {in_container.IMAGE}
COPY peers /opt/peers
COPY serve /opt/program/serve
ENV TMPDIR=/tmp PORT=8080 WORKERS={WORKERS} OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENV BENCHMARK_MODELS={SAMPLE} BENCHMARK_FOLDER=/opt/ml/model PYTHONPATH=/opt/peers
ENV CLASSIC_OPTIONS="--worker-class sync --preload"
"""
SERVE = "#!/bin/sh\nexec python3 /opt/peers/classic/serve.py\n"
MEMORY_EVERY_S = 0.3
POLL_S = 0.5
OVER = ("Completed", "Failed", "Stopped")


def main() -> None:
    """
    Measure, print and keep.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0].strip())
    parser.add_argument("--pieces", type=int, default=PIECES)
    parser.add_argument("--piece-mb", type=float, default=PIECE_MB)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        training, payloads = simulate(scratch)
        train(training, scratch / "ml")
        fit([SAMPLE], training)
        try:
            in_container.prepare()
            _build_classic(scratch)
        except Absent as error:
            sys.exit(str(error))
        csv, rows = payloads.csv_of_size(options.piece_mb)
        archives = {
            in_container.IMAGE: _archive(*(scratch / "ml/model").iterdir()),
            CLASSIC: _archive(FITTED / SAMPLE),
        }
        jobs = {}
        with local_cloud(scratch / "cloud", clock=600, startup_s=60) as cloud:
            clients = _Clients(cloud.url)
            clients.put(csv.encode(), options.pieces, archives)
            for image in archives:
                jobs[image] = clients.transform(image)
                print(f"{image}: {jobs[image]['seconds']:.0f} s", flush=True)
    results = {
        "machine": describe(),
        "rows": rows * options.pieces,
        "gb": options.pieces * options.piece_mb / 1000,
        "jobs": {"ours": jobs[in_container.IMAGE], "classic": jobs[CLASSIC]},
    }
    print(report.batch_transform(results))
    if (options.pieces, options.piece_mb) >= (PIECES, PIECE_MB):
        report.keep("batch_transform", results)
        report.main()


class _Clients:
    """
    The local cloud as boto3 sees it.
    """

    def __init__(self, url: str) -> None:
        settings: dict[str, Any] = {
            "region_name": REGION,
            "endpoint_url": url,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }
        self._s3 = boto3.client("s3", **settings)
        self._sagemaker = boto3.client("sagemaker", **settings)

    def put(self, piece: bytes, pieces: int, archives: dict[str, bytes]) -> None:
        """
        Put the pieces and the models' archives into S3.
        """
        place = {"LocationConstraint": REGION}
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        for number in range(pieces):
            self._s3.put_object(Bucket=BUCKET, Key=f"in/part-{number}.csv", Body=piece)
        for image, archive in archives.items():
            self._s3.put_object(Bucket=BUCKET, Key=f"{image}.tar.gz", Body=archive)

    def transform(self, image: str) -> dict[str, float]:
        """
        Run the job and return its seconds, from its start to its end, and the container's peak.
        """
        model = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{image}.tar.gz"}
        self._sagemaker.create_model(ModelName=image, ExecutionRoleArn=ROLE, PrimaryContainer=model)
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in"}}
        with _peak_mb(image) as peak:
            self._sagemaker.create_transform_job(
                TransformJobName=image,
                ModelName=image,
                MaxPayloadInMB=100,
                MaxConcurrentTransforms=1,
                TransformInput={"DataSource": source, "ContentType": "text/csv"},
                TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{image}"},
                TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            )
            while True:
                job = self._sagemaker.describe_transform_job(TransformJobName=image)
                if job["TransformJobStatus"] in OVER:
                    break
                time.sleep(POLL_S)
        if job["TransformJobStatus"] != "Completed":
            sys.exit(f"{image}: {job['TransformJobStatus']}: {job.get('FailureReason')}")
        seconds = (job["TransformEndTime"] - job["TransformStartTime"]).total_seconds()
        return {"seconds": seconds, "peak_mb": max(peak, default=0.0)}


def _archive(*files: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for file in files:
            tar.add(file, file.name)
    return content.getvalue()


def _build_classic(scratch: Path) -> None:
    context = scratch / "classic"
    shutil.copytree(PEERS, context / "peers", ignore=shutil.ignore_patterns("__pycache__"))
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "serve").write_text(SERVE)
    (context / "serve").chmod(0o755)
    in_container.docker("build", "--tag", CLASSIC, str(context))


@contextmanager
def _peak_mb(image: str) -> Iterator[list[float]]:
    """
    Watch the proportional set size (PSS) of all processes in the containers of an image.
    """
    seen: list[float] = []
    done = Event()

    def watch() -> None:
        while not done.wait(MEMORY_EVERY_S):
            with suppress(Absent):
                names = in_container.docker(
                    "ps", "--quiet", "--filter", f"ancestor={image}"
                ).split()
                tops = [in_container.docker("top", name, "-eo", "pid") for name in names]
                seen.append(sum(map(_pss_mb, (pid for top in tops for pid in top.split()[1:]))))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _pss_mb(pid: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
