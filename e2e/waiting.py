"""Waiting for a condition with a deadline: the only way in which these tests pass time."""
import threading
import time


class Expired(AssertionError):
    pass


def eventually(check, within, what, every=0.2):
    """Calls check() until it returns something true, and returns that. Exceptions count as "not yet"; the last one is shown."""
    deadline = time.monotonic() + within
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = value
        except Exception as error:  # a cluster that is being broken on purpose fails in every way
            last = error
        if time.monotonic() >= deadline:
            raise Expired(f"{what}: not within {within} s; last seen: {last!r}")
        time.sleep(every)


def always(check, during, what, every=0.2):
    """Asserts that check() stays true for `during` seconds."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        value = check()
        assert value, f"{what}: {value!r}"
        time.sleep(every)


class Prober:
    """Calls something every few milliseconds in a thread, and knows when it did not answer."""

    def __init__(self, call, every=0.02):
        self.call, self.every = call, every
        self.answered, self.errors = [], []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.done.is_set():
            try:
                self.call()
                self.answered.append(time.monotonic())
            except Exception as error:
                self.errors.append((time.monotonic(), repr(error)))
            time.sleep(self.every)

    def __enter__(self):
        self.thread.start()
        eventually(lambda: self.answered, 10, "the first answer")
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def answers_after(self, moment, within):
        """Seconds from a moment to the first answer after it."""
        return eventually(lambda: next((t for t in list(self.answered) if t > moment), None), within, "an answer", every=0.02) - moment

    def longest_silence(self):
        times = list(self.answered)
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)
