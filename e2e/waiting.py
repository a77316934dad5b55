"""Waiting for a condition with a deadline: the only way in which these tests pass time."""
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
