"""
How gunicorn runs the application; ``serve`` adds the address and the account on the command line.
"""

import atexit
import gc
import os
import signal
import sys
from logging.config import dictConfig

from gevent import events
from gunicorn import glogging, util
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http import wsgi as http
from gunicorn.workers.base import Worker

from sagemaker_runtime import resources
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.logs import Batch, Lines, logging_config
from sagemaker_runtime.serving import imports, metrics, preload, responses
from sagemaker_runtime.serving.capture import capture
from sagemaker_runtime.settings import Settings, preloads

settings = Settings.from_environ(os.environ)
if settings.log_level == "debug":
    imports.begin()
threads_before = preload.count_threads()
kills_before = resources.oom_kills()
# Time that the line of a request that was answered may wait for others, in s.
LINES_S = 0.1
# What asks a worker to end.
ENDINGS = (signal.SIGTERM, signal.SIGQUIT)

wsgi_app = "wsgi:app"
bind = f"0.0.0.0:{settings.port}"
workers = settings.workers
# Greenlets keep /ping answering while a long request runs in gevent's thread pool.
worker_class = "gevent"


def runs_code() -> bool:
    """
    Tell whether loading the model runs code that came with it.
    """
    try:
        return find_algorithm().runs_code
    except Exception:  # noqa: BLE001 - the application says what is wrong with it
        return False


# With an account for the workers this process is root, which leaves such code to them.
is_left_to_workers = (
    settings.multi_model == "false"
    and "--user" in sys.argv
    and settings.preload == "auto"
    and runs_code()
)
preload_app = preloads(settings, os.environ) and not is_left_to_workers

# A worker that has shown no sign of life for so long is replaced.
timeout = settings.timeout_s
# serve ends everything earlier; gunicorn's own limit must not come first, it would cut off
# requests and still report success.
graceful_timeout = 60
# Idle connections from a client hold up the shutdown for this long when nginx is not in front.
keepalive = 2

# A management socket in the home folder, which may not exist or be read-only.
control_socket_disable = True
# Headers that say "this came over https" are of no use here, contradictory ones would be refused.
secure_scheme_headers: dict[str, str] = {}
forwarded_allow_ips = ""
# As large as nginx passes on; see large_client_header_buffers there. 8190 is gunicorn's most.
limit_request_line = 8190
limit_request_field_size = 16384
limit_request_fields = 1000


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """
    Logs as the application does; with logconfig_dict gunicorn would add its access lines.
    """

    access_log_enabled = False
    killed: int | None = None

    def setup(self, cfg: Config) -> None:
        dictConfig(logging_config(settings.log_level))

    def error(self, msg: str, *args: object, **kwargs: object) -> None:
        """
        Log an error and note which worker was killed, which no hook is told.
        """
        super().error(msg, *args, **kwargs)
        if "SIGKILL" in args:
            Logger.killed = args[0]  # type: ignore[assignment]  # a process id


logger_class = Logger


def on_starting(server: Arbiter) -> None:
    """
    Keep a model that was loaded here from the workers when loading left threads, which no fork
    takes along: what waits for them in a worker would wait for ever.
    """
    if is_left_to_workers:
        server.log.info("the model may run code: each worker loads it, under its own account")
    left = preload.threads_left(threads_before) if preload_app else None
    if left and settings.preload == "on":
        server.log.warning(
            "loading the model left %s, which the workers will not have; if predictions hang, set "
            "MODEL_SERVER_PRELOAD=auto",
            left,
        )
    elif left:
        server.log.info(
            "loading the model left %s, which the workers would not have: each worker loads the "
            "model for itself; MODEL_SERVER_PRELOAD=off saves loading it here first",
            left,
        )
        preload.load_in_each_worker()


def child_exit(server: Arbiter, worker: Worker) -> None:
    """
    Say what to do when a worker was killed, unless gunicorn did it for want of a sign of life, and
    take it out of the metrics. Write the lines of the requests that it answered last.
    """
    if worker.pid == Logger.killed and not worker.aborted:
        why = resources.out_of_memory(settings.workers, kills_before)
        server.log.error("worker %s was killed. %s", worker.pid, why)
    metrics.forget(worker.pid)
    worker.lines.flush()


def when_ready(server: Arbiter) -> None:
    """
    Start the workers at once: gunicorn would pause for up to 0.1 s after each.
    """
    # What is loaded stays: a worker that looks for garbage among it copies memory that is shared.
    # This saves two workers a fifth of their memory.
    gc.freeze()
    for _ in range(server.num_workers):
        server.spawn_worker()


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """
    Give a worker a socket that no other worker has; see upstream in nginx.conf. Hold back the
    signals that end it until it can act on them: by the handlers of its parent they would be lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    worker.lines = Batch()
    if len(server.LISTENERS) > 1:
        taken = [other.sockets[0] for other in server.WORKERS.values()]
        worker.sockets = [free for free in server.LISTENERS if free not in taken][:1]


def heed_signals() -> None:
    """
    Take the signals that pre_fork holds back, those that came meanwhile included.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """
    End a worker that is asked to before it has gunicorn's handlers, and would miss the signal; let
    it accept all who wait at its own socket.
    """
    gc.enable()
    # What is frozen would be taken apart in the wrong order at the end, with tracebacks.
    atexit.register(gc.unfreeze)
    for number in ENDINGS:
        signal.signal(number, lambda number, frame: os._exit(0))
    heed_signals()
    if len(server.LISTENERS) > 1:
        # One of several gevent workers accepts one connection at a time, so that the others get
        # their share. On its own socket that only makes newcomers wait, for half a second
        # behind 64 busy connections; this setting, read in the worker for just that, ends it.
        worker.cfg.set("workers", 1)


def post_worker_init(worker: Worker) -> None:
    """
    Begin to count, to write lines in batches, and to capture where it is asked for.
    """
    import gevent
    from gevent.threadpool import ThreadPool

    # It repeats, since one that has fired would start again without any time left.
    timer = gevent.get_hub().loop.timer(LINES_S, LINES_S)

    def flush() -> None:
        timer.stop()
        worker.lines.flush()

    worker.lines.begin(lambda: timer.again(flush))
    Lines.batch = worker.lines

    def count() -> None:
        while True:
            gevent.sleep(metrics.INTERVAL_S)
            metrics.recorder.flush()

    def write() -> None:
        pool = ThreadPool(1)  # besides that of large bodies: neither waits for the other
        while True:
            gevent.sleep(metrics.INTERVAL_S)
            if events := capture.take():
                pool.spawn(capture.write, events).get()

    metrics.recorder.begin()
    gevent.spawn(count)
    if settings.capture_percent:
        capture.begin(settings.capture_percent, settings.capture_to)
        gevent.spawn(write)


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """
    Count and write what has not been yet.
    """
    worker.lines.flush()
    if metrics.recorder.is_on:
        metrics.recorder.flush()
        capture.write(capture.take())


def worker_abort(worker: Worker) -> None:
    """
    Tell the caller whose request kept the event loop for too long, and have the worker end soon.

    gunicorn would leave the caller's connection open and wait for all who have one, while nobody
    accepts at the worker's socket.
    """
    import gevent

    import threads

    threads.end_worker()
    if gevent.getcurrent() is not gevent.get_hub():
        raise threads.too_late(settings.timeout_s)


def worker_int(worker: Worker) -> None:
    """
    End a worker at once when serve says so, after the last request.

    gunicorn would wait for 0.1 s; when the worker's main loop ends by itself meanwhile, the two
    exits meet with a traceback.
    """
    metrics.recorder.flush()
    worker.lines.flush()
    capture.write(capture.take())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


# gunicorn has no hook for it.
os.register_at_fork(after_in_parent=heed_signals)

# gevent would search all installed packages for its plug-ins, 25 times in each worker.
events.notify_and_call_entry_points = events.notify

# gunicorn has no setting for it and would answer in HTML.
util.write_error = responses.write_error

# Nor for the way in which an answer is sent.
http.Response = responses.Response
