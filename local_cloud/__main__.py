"""
The process: ``python -m local_cloud --port 4600 --clock 60 --folder FOLDER``.
"""

import argparse
import logging
import os
import signal
from pathlib import Path

from local_cloud.server import REGION, LocalCloud


def main() -> None:
    """
    Run until SIGTERM or Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="local_cloud", description="SageMaker on this machine.")
    parser.add_argument("--port", type=int, default=4600)
    parser.add_argument("--clock", type=float, default=60.0)
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--background", action="store_true", help="outlive the terminal that it is started from"
    )
    options = parser.parse_args()
    if options.background:
        os.setsid()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    wanted = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)  # for the threads too, which inherit it
    cloud = LocalCloud(
        options.folder, port=options.port, region=options.region, clock=options.clock
    )
    print(cloud.url, flush=True)
    signal.sigwait(wanted)
    cloud.stop()


if __name__ == "__main__":
    main()
