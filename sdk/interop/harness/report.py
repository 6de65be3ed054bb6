"""One line per test, and the count at the end."""

import sys
import threading
import time


class Report:
    def __init__(self):
        self.begun = time.monotonic()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.lock = threading.Lock()

    def _line(self, kind, mark, test, text):
        with self.lock:
            self.counts[kind] += 1
            print(f"{mark:7} {test}{' ' + text if text else ''}", flush=True)

    def passed(self, test, ms, note=""):
        self._line("passed", "ok", test, f"({ms / 1000:.1f} s){' ' + note if note else ''}")

    def failed(self, test, reasons):
        self._line("failed", "FAILED", test, "\n          " + "\n          ".join(str(reason)[:700] for reason in reasons))

    def skipped(self, test, reason):
        self._line("skipped", "SKIPPED", test, f"!!! {reason} !!!")
        if not sys.stdout.isatty():
            print(f"skipped: {test}: {reason}", file=sys.stderr, flush=True)

    def end(self):
        """The summary; the exit code."""
        counts = self.counts
        print(f"{time.monotonic() - self.begun:.0f} s")
        print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
        return 1 if counts["failed"] or not counts["passed"] else 0
