"""A hosted process that asks without waiting, watches others and speaks to a group: `python3 waiter.py` where a sidecar is."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))  # not needed where orrery is installed

import orrery  # noqa: E402


class Waiter(orrery.Process):
    class_name = "waiter"

    async def init(self, key):
        self.state = {"ready": [], "failed": {}, "watched": []}
        self.join_group("staff")                                      # what is published there comes as an info by its word

    @orrery.call
    async def order(self, dish):
        self.request(f"cooked/{dish}", f"kitchen/{dish}", "cook", timeout=60)    # asks without waiting
        self.watch_kitchen(dish)

    def watch_kitchen(self, dish):
        self.monitor(f"kitchen/{dish}", f"kitchen/{dish}")            # a name of its own: one of the same name would be replaced
        if dish not in self.state["watched"]:
            self.state["watched"].append(dish)

    @orrery.info
    async def cooked(self, answer):                                   # an orrery.Answer: answer.error, or answer.value
        dish = self.message.partition("/")[2]                         # the whole name; what is after its "/" tells orders apart
        if answer.error is not None:
            self.state["failed"][dish] = answer.error.text
        else:
            self.state["ready"].append(answer.value)

    @orrery.info
    async def kitchen(self, down):                                    # an orrery.Down
        dish = self.message.partition("/")[2]
        if down.reason.kind == "moved":                               # it lives on at another node: watch it there
            self.watch_kitchen(dish)
        else:
            self.state["watched"].remove(dish)
            self.publish("staff", "closed", {"dish": dish, "why": down.reason.kind})

    @orrery.info
    async def closed(self, what):
        self.log.info("no more %s: %s", what["dish"], what["why"])

    async def handoff(self):                                          # it has moved here from another node: its monitors stayed behind
        for dish in self.state["watched"]:
            self.watch_kitchen(dish)


if __name__ == "__main__":
    orrery.run(Waiter, app="waiter 1.0")
