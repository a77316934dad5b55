"""Load on a mesh while something happens to it."""
import http.client
import threading
import time
import uuid

PATIENCE = 40  # seconds that one of a crowd goes on asking


class Load:
    """A thread for each of `jobs` while it is entered. A job ends soon after `over` is set."""

    def __init__(self, jobs):
        self.over = threading.Event()
        self.threads = [threading.Thread(target=job, daemon=True) for job in jobs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Crowd(Load):
    """Users of an example, through whichever pod. `failed` has what was refused for good."""

    def __init__(self, place, jobs):
        super().__init__([lambda: place.follow_urls(self.over, self.know), *jobs])
        self.place = place
        self.answered, self.again, self.longest, self.failed = 0, 0, 0.0, []
        self.know(list(place.urls().values()))

    def know(self, urls):
        self.urls = urls

    def insist(self, first, request):
        """request(url, key), beginning with the pod of number `first`, until it is answered: as it broke, or was refused with status 503, another
        pod is asked with the same key. Whether it was answered at all."""
        key, since, number = uuid.uuid4().hex, time.monotonic(), first
        while True:
            number, urls = number + 1, self.urls
            try:
                request(urls[number % len(urls)], key)
                break
            except Exception as error:
                status = getattr(error, "status", None)  # of an answer
                if status is None and not isinstance(error, (OSError, http.client.HTTPException)):
                    self.failed.append(repr(error))
                    raise
                if status not in (None, 503):
                    self.failed.append(str(error))
                    return False
            self.again += 1
            if time.monotonic() > since + PATIENCE:
                self.failed.append(f"no answer in {PATIENCE} s")
                return False
            time.sleep(0.05)
        self.answered += 1
        self.longest = max(self.longest, time.monotonic() - since)
        return True

    def __enter__(self):
        super().__enter__()
        self.wait_for(50)
        return self

    def wait_for(self, more):
        goal = self.answered + more
        self.place.eventually(lambda: self.failed or self.answered >= goal, 30, f"{more} more requests are answered", every=0.05)

    def account(self):
        """For people. Raises AssertionError where somebody was refused for good."""
        if self.failed:
            raise AssertionError(f"refused for good: {self.failed[:3]}")
        return f"{self.answered} requests answered, {self.again} asked again with the same key; the longest took {self.longest:.2f} s"
