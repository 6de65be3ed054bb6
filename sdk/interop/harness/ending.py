"""How a driver ends when it is told to: `./test` bounds most of them with `timeout`, which sends SIGTERM."""

import atexit
import shutil
import signal
import sys
import tempfile

from . import clients


def unwind_on_sigterm():
    """From now on SIGTERM unwinds the stack of the main thread: whoever mounted, froze or started something undoes it."""
    signal.signal(signal.SIGTERM, _unwind)


def _unwind(*_):
    # `timeout` sends it to the process and to its group: the second one must not interrupt what the first one has undone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in list(clients.RUNNING):
        process.kill()
    sys.exit(143)


def work_directory(prefix, keep=False):
    """A new directory, which is gone when the driver has ended, however it does, unless it is to `keep` it."""
    path = tempfile.mkdtemp(prefix=prefix)
    if not keep:
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
