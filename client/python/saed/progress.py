"""What wait() shows while a job runs."""

import shutil
import sys
import time

from saed.v1 import sweeps_pb2

_SELDOM = 0.2  # s between two lines


def _shown_by_itself():
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _describe(record):
    """A JobProgress, or a sweep."""
    if record.DESCRIPTOR.name == "Sweep":
        ended = sum(t.state >= sweeps_pb2.Trial.STATE_PAUSED for t in record.trials)
        return f"{ended} of {record.spec.trials} trials have ended"
    what = record.stage
    if what == "training":
        what = (f"step {record.step}/{record.total_steps}  loss {record.reconstruction_loss:.5f}  L0 "
                f"{record.l0:.1f}")
    return f"{100 * record.stage_fraction:3.0f} %  {what}"


class _Line:
    """One line on stderr, written again and again."""

    def __init__(self, name):
        self._name, self._last, self._width = name, 0.0, 0

    def __call__(self, record):
        now = time.monotonic()
        if now - self._last < _SELDOM:
            return
        self._last = now
        self._write(f"{self._name}  {_describe(record)}")

    def _write(self, text):
        text = text[:max(shutil.get_terminal_size().columns - 1, 20)]
        sys.stderr.write("\r" + text.ljust(self._width))
        sys.stderr.flush()
        self._width = len(text)

    def end(self, text):
        self._write(text)
        sys.stderr.write("\n")


class Shown:
    """progress: a callable that takes each record, True for a line on stderr, False for nothing, or
    None for a line where somebody looks: in a terminal or a notebook."""

    def __init__(self, progress, name):
        if progress is None:
            progress = _shown_by_itself()
        if not isinstance(progress, bool) and not callable(progress):
            raise TypeError(f"progress: is {progress!r}; must be a function of a record, True, False "
                            "or None")
        self._line = _Line(name) if progress is True else None
        self.each = self._line or (progress if callable(progress) else lambda record: None)
        self._name = name

    def end(self, word):
        if self._line:
            self._line.end(f"{self._name} {word}")
