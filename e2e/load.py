"""Load on a mesh while something happens to it."""
import http.client
import threading
import time
import uuid

PATIENCE = 40  # seconds that one of a crowd goes on asking


class Load:
    """A thread for each of `jobs` while it is entered. A job ends soon after `over` is set."""

    def __init__(self, jobs):
        self.over, self.broken = threading.Event(), []
        self.threads = [threading.Thread(target=self._run, args=(job,), daemon=True) for job in jobs]

    def _run(self, job):
        try:
            job()
        except BaseException as problem:
            self.broken.append(problem)
            raise

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, failed, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.broken and failed is None:
            raise self.broken[0]


class Crowd(Load):
    """Users of an example, through whichever pod. `failed` has what was refused for good."""

    def __init__(self, place, jobs):
        super().__init__([lambda: place.follow_urls(self.over, self.know), *jobs])
        self.place = place
        self.answered, self.again, self.longest, self.failed = 0, 0, 0.0, []
        self.slowest = []  # what became of each try of the request that took longest
        self.know(list(place.urls().values()))

    def know(self, urls):
        self.urls = urls

    def insist(self, first, request):
        """request(url, key), beginning with the pod of number `first`, until it is answered: as it broke, or was refused with status 503, another
        pod is asked with the same key. Whether it was answered at all."""
        key, since, number, tries = uuid.uuid4().hex, time.monotonic(), first, []
        while True:
            number, urls, began = number + 1, self.urls, time.monotonic()
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
                gone = "" if urls[number % len(urls)] in self.urls else ", whose pod had gone by then"
                tries.append(f"{time.monotonic() - began:.2f} s at {urls[number % len(urls)]}: {error}{gone}")
            self.again += 1
            if time.monotonic() > since + PATIENCE:
                self.failed.append(f"no answer in {PATIENCE} s")
                return False
            time.sleep(0.05)
        self.answered += 1
        took = time.monotonic() - since
        if took > self.longest:
            self.longest, self.slowest = took, tries
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
        return f"{self.answered} requests answered, {self.again} asked again with the same key; the longest took {self.longest:.2f} s{self._why()}"

    def _why(self):
        """Of the longest: the tries that took most of it."""
        worst = sorted(self.slowest, key=lambda each: -float(each.split()[0]))[:3]
        return f" ({len(self.slowest) + 1} tries; {'; '.join(worst)})" if worst else ""
