"""``orrery attach`` as a child of this program, for as long as it is wanted and not longer than this program lives."""
from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import threading
import time
import weakref
from collections import deque
from typing import IO, Any, Deque, Dict, List, Optional

from ._http import is_readable
from .errors import CODES, NOT_EXECUTED, DeadlineExceeded, OrreryError, ProtocolError, Unavailable, error_for

_log = logging.getLogger("orrery.attach")

GOODBYE_SECONDS = 5.0
LINES_KEPT = 20
ANSWER_BYTES_MAX = 65536


class Attached:
    """The child. ``said`` is what it has printed of itself so far, which is logged too."""

    def __init__(self, program: str, arguments: List[str], timeout: float) -> None:
        try:
            # A session of its own: Ctrl-C in a notebook ends what runs there, and not this. It ends too when nobody reads its output.
            self._process = subprocess.Popen([program, "attach", "-o", "json", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, start_new_session=True)
        except OSError as problem:
            raise Unavailable(f"cannot run {program!r}: {problem.strerror}; the orrery command line must be on the PATH, or be given as program=",
                              effect=NOT_EXECUTED) from None
        self.said: Deque[str] = deque(maxlen=LINES_KEPT)
        self._listener = threading.Thread(target=_listen, args=(self._process.stderr, self.said), name="orrery-attach", daemon=True)
        self._listener.start()
        self._end = weakref.finalize(self, _finish, self._process, self._listener, os.getpid())  # also when the program ends
        try:
            self.where = self._answer(time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Returns when it has ended. May be called again."""
        self._end()

    @property
    def ended(self) -> Optional[str]:
        """Why it has ended before it was asked to, or None."""
        if self._process.poll() is None:
            return None
        return self.said[-1] if self.said else f"exit status {self._process.returncode}"

    def _answer(self, deadline: float) -> Dict[str, Any]:
        """Its one line, once it is attached."""
        assert self._process.stdout is not None
        output, text = self._process.stdout.fileno(), b""
        while b"\n" not in text:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineExceeded("the mesh could not be reached in time; is the Kubernetes API there?", effect=NOT_EXECUTED)
            if not is_readable(output, left):
                continue
            more = os.read(output, 4096)
            if not more or len(text) > ANSWER_BYTES_MAX:
                raise self._refusal()
            text += more
        try:
            where = json.loads(text)
            return {key: str(where[key]) for key in ("url", "pod", "mesh", "namespace")}
        except (ValueError, KeyError, TypeError):
            raise ProtocolError(f"what was run says {text[:200]!r}; is it another orrery?", effect=NOT_EXECUTED) from None

    def _refusal(self) -> OrreryError:
        """What it said before it ended: ``orrery: CODE: TEXT``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GOODBYE_SECONDS)
        self._listener.join(GOODBYE_SECONDS)
        for line in reversed(self.said):
            who, _, rest = line.partition(": ")
            code, _, text = rest.partition(": ")
            if who == "orrery" and code in CODES:
                return error_for(code, text, NOT_EXECUTED)
        return Unavailable(f"'orrery attach' ended with status {self._process.returncode}: {' '.join(self.said) or 'without a word'}", effect=NOT_EXECUTED)


def _listen(stream: IO[bytes], said: Deque[str]) -> None:
    for raw in stream:
        line = raw.decode(errors="replace").rstrip()
        said.append(line)
        _log.info("%s", line)


def _finish(process: "subprocess.Popen[bytes]", listener: threading.Thread, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the one whose child it is
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(GOODBYE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if threading.current_thread() is not listener:
        listener.join(GOODBYE_SECONDS)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
