#!/usr/bin/env python3
"""
Trains: the mean of the last column; half a second for each file, so that a signal can come.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

FAULT = os.environ.get("FAULT", "")
ROOT = Path("/opt/ml")
CONFIG = ROOT / "input/config"
DATA = ROOT / "input/data"
PORT = 7777
stopped = False


def stop(number, frame):
    global stopped
    if FAULT == "deaf":
        time.sleep(60)
    stopped = True


def decoded(value):
    while isinstance(value, str) and FAULT != "strings":
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def hyperparameters():
    try:
        given = json.loads((CONFIG / "hyperparameters.json").read_text())
    except ValueError:
        raise SystemExit("hyperparameters.json is not JSON") from None
    known = {"seconds"}
    for name in given:
        ours = name.startswith(("_tuning", "sagemaker_")) and FAULT != "platform"
        if name not in known and not ours:
            raise SystemExit(f"the hyperparameter {name} is unknown")
    return float(decoded(given.get("seconds", "0.5")))


def lines():
    inputs = json.loads((CONFIG / "inputdataconfig.json").read_text())
    if FAULT == "config" and len(list(CONFIG.iterdir())) > 4:
        raise SystemExit("a file in input/config is unknown")
    for channel, settings in inputs.items():
        if settings["TrainingInputMode"] == "Pipe" and FAULT != "pipe-ignored":
            fifo = DATA / f"{channel}_0"
            while not fifo.exists():
                time.sleep(0.01)
            if FAULT == "pipe-failing":
                fifo.read_bytes()
                raise SystemExit("a stream is not understood")
            yield from fifo.read_text().splitlines()
            continue
        if FAULT == "pipe-ignored" and settings["TrainingInputMode"] == "Pipe":
            yield "1,2,3"
        folder = DATA / channel
        found = folder.glob("*.csv") if FAULT == "flat" else folder.rglob("*.csv")
        for path in sorted(found):
            yield from path.read_text().splitlines()


def cluster(mean):
    """Return whether this host saves; two hosts agree on the mean over TCP."""
    config = json.loads((CONFIG / "resourceconfig.json").read_text())
    hosts, here = config["hosts"], config["current_host"]
    if len(hosts) == 1 or FAULT == "every-host":
        return True
    if here == hosts[0]:
        with socket.create_server(("", PORT)) as server:
            server.settimeout(20)
            connection, _ = server.accept()
            connection.recv(100)
        return True
    while True:
        try:
            socket.create_connection((hosts[0], PORT), 1).sendall(str(mean).encode())
            return False
        except OSError:
            time.sleep(0.05)


def checkpoint(text):
    path = ROOT / "checkpoints/state.json"
    if path.exists():
        try:
            json.loads(path.read_text())
        except ValueError:
            if FAULT == "checkpoint":
                raise SystemExit("the checkpoint is damaged") from None
            print("the checkpoint is damaged: begins anew")
    if path.parent.is_dir() and FAULT != "no-checkpoint":
        path.write_text(text)


def train():
    signal.signal(signal.SIGTERM, stop)
    if FAULT == "online":
        # No route leads out of a network without an exit.
        routes = Path("/proc/net/route").read_text().splitlines()
        if not any(line.split()[1] == "00000000" for line in routes):
            raise SystemExit("there is no network")
    seconds = hyperparameters()
    if FAULT in ("deaf", "half"):
        seconds = 4  # so that a signal meets it at work
    values = [float(line.rpartition(",")[2]) for line in lines()]
    if FAULT == "early":
        (ROOT / "model/model.json").write_text("{")
    if not values:
        raise SystemExit("there are no rows in any channel")
    mean = sum(values) / len(values)
    checkpoint(json.dumps({"mean": mean}))
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopped:
        if FAULT == "half":
            (ROOT / "model/model.json").write_text("{")
        time.sleep(0.01)
    if FAULT == "half" and stopped:
        return
    if cluster(mean) and FAULT != "no-model":
        (ROOT / "model/model.json").write_text(json.dumps({"mean": mean}))


try:
    train()
except SystemExit as error:
    print(error, file=sys.stderr)
    text = str(error)
    if FAULT == "late-cause":
        text = "Traceback (most recent call last):\n" + '  File "train.py"\n' * 100 + text
    if FAULT != "no-failure":
        (ROOT / "output/failure").write_text(text)
    sys.exit(0 if FAULT == "exit-0" else 1)
