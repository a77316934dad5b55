"""Random programs over processes, in the language of README.md."""
import random

REASONS = ["normal", "shutdown", "kill", "boom", "crash"]
NAMES = ["n0", "n1", "n2"]
STEPS = (6, 22)


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.processes = [f"p{i}" for i in range(4)]
        self.supervisors = []     # (name, its children's names)
        self.simple = []          # those of them that are simple_one_for_one, with their children's names
        self.monitors = {}        # of each process: its monitors
        self.aliases = []
        self.made = 0

    def program(self):
        return [self.step() for _ in range(self.rng.randint(*STEPS))]

    def step(self):
        kind = self.rng.choices(["one", "batch", "tree", "request"], [70, 12, 8 if len(self.supervisors) < 3 else 1, 14 if self.supervisors or self.simple else 0])[0]
        if kind == "tree":
            return f"sup {self.rng.choice(self.processes[:6])} {self.tree(2)}"
        if kind == "request":
            return self.request()
        actor = self.actor()
        return self.batch(actor) if kind == "batch" else self.operation(actor)

    def actor(self):
        return self.rng.choice(self.processes)

    def target(self):
        # Supervisors are processes too: they can be linked, watched and told to exit.
        if self.supervisors and self.rng.random() < 0.15:
            return self.rng.choice(self.supervisors)[0]
        return self.actor()

    def other_than_its_supervisor(self, actor):
        """A child that unlinks itself ends unheard. OTP's count_children looks whether pids live; Orrery's tells what it has heard."""
        target = self.target()
        return target if actor.startswith("p") else target.replace("s", "w", 1)

    def operation(self, actor):
        rng = self.rng
        kind = rng.choices(["spawn", "link", "unlink", "monitor", "demonitor", "trap", "exit", "stop", "send", "register", "unregister", "tell",
                            "alias", "unalias", "via", "ask"],
                           [12, 22, 6, 14, 6, 14, 20, 8, 8, 5, 2, 5, 6, 3, 6, 10])[0]
        if kind == "spawn":
            return self.spawn(actor)
        if kind in ("link", "unlink"):
            return f"{kind} {actor} {self.target() if kind == 'link' else self.other_than_its_supervisor(actor)}"
        if kind == "monitor":
            return self.monitor(actor, self.target())
        if kind == "demonitor":
            return f"demonitor {actor} {rng.choice(self.monitors.get(actor, ['m0']))} {rng.choice(['flush', 'keep'])}"
        if kind == "trap":
            return f"trap {actor} {rng.choice(['on', 'on', 'off'])}"
        if kind == "exit":
            return f"exit {actor} {self.target()} {rng.choice(REASONS)}"
        if kind == "stop":
            return f"stop {actor} {rng.choice(REASONS)}"
        if kind == "send":
            return f"send {actor} {self.target()} {rng.randint(0, 99)}"
        if kind == "register":
            return f"register {actor} {rng.choice(NAMES)}"
        if kind == "unregister":
            return f"unregister {actor}"
        if kind == "alias":
            return self.alias(actor)
        if kind in ("unalias", "via"):
            return f"{kind} {actor} {rng.choice(self.aliases or ['a0'])}" + (f" {rng.randint(0, 99)}" if kind == "via" else "")
        if kind == "ask":
            return self.ask(actor, self.actor())
        return f"tell {actor} {rng.choice(NAMES)} {rng.randint(0, 99)}"

    def alias(self, actor):
        name = f"a{self.next()}"
        self.aliases.append(name)
        return f"alias {actor} {name}"

    def ask(self, actor, target):
        """Of another process: who asks itself has to look at its messages first."""
        if actor == target:
            return f"send {actor} {target} {self.rng.randint(0, 99)}"
        return f"ask {actor} {target} q{self.next()}"

    def spawn(self, actor):
        new = f"p{3 + self.next()}"
        how = self.rng.choice(["plain", "link", "link", "monitor", "both"])
        init = self.rng.choice(["run"] * 6 + ["normal", "shutdown", "boom", "kill"])
        self.processes.append(new)
        if how in ("monitor", "both"):
            self.monitors.setdefault(actor, []).append("m" + new)
        return f"spawn {actor} {new} {how} {init}"

    def monitor(self, actor, target):
        name = f"m{self.next()}"
        self.monitors.setdefault(actor, []).append(name)
        return f"monitor {actor} {target} {name}"

    def next(self):
        self.made += 1
        return self.made

    def batch(self, actor):
        """Several operations of one process towards another, in one go: their order counts. After an exit signal only
        such follow whose outcome does not depend on how far the other has got."""
        rng, target = self.rng, self.target()
        supervisor = target.startswith("s")
        steps, exited = [], False
        for _ in range(rng.randint(2, 5)):
            kinds = ["send", "monitor", "demonitor"] if exited else ["send", "monitor", "demonitor", "link", "unlink", "exit", "exit"]
            kind = rng.choice(kinds if supervisor else kinds + ["ask"])
            if kind == "ask":
                steps.append(self.ask(actor, target))
                exited = True     # how much of it the other has done before it ends is open
            elif kind == "send":
                steps.append(f"send {actor} {target} {rng.randint(0, 99)}")
            elif kind == "monitor":
                steps.append(self.monitor(actor, target))
            elif kind == "demonitor":
                steps.append(f"demonitor {actor} {rng.choice(self.monitors.get(actor, ['m0']))} flush")
            elif kind == "exit":
                exited = True
                steps.append(f"exit {actor} {target} {rng.choice(REASONS)}")
            elif kind == "link" or not supervisor or actor.startswith("p"):
                steps.append(f"{kind} {actor} {target}")
        return " ; ".join(steps) or f"send {actor} {target} 0"

    # ---- supervision trees ----

    def tree(self, depth, top=True, automatic="never"):
        rng, name = self.rng, f"s{self.next()}"
        if rng.random() < 0.12:
            return self.simple_tree(name, top, automatic)
        own = rng.choice(["never", "never", "any_significant", "all_significant"])
        restart, significant = ("permanent", False) if top else self.restart(automatic)
        count = rng.randint(1, 4)
        children = []
        entry = (name, [])
        for _ in range(count):
            if depth > 1 and rng.random() < 0.2:
                text, child = self.tree(depth - 1, False, own), f"s{self.made}"
                child = text.split()[1]
            else:
                text = self.worker(own)
                child = text.split()[1]
            children.append(text)
            entry[1].append(child)
        self.supervisors.append(entry)
        strategy = rng.choice(["one_for_one", "one_for_all", "rest_for_one"])
        return " ".join([f"S {name} {strategy} {rng.randint(0, 4)} {own} {restart} {'significant' if significant else '-'} {count}"] + children)

    def simple_tree(self, name, top, automatic):
        """Any number of children of one kind; none at first. A template that fails to start does so for each name anew."""
        restart, significant = ("permanent", False) if top else self.restart(automatic)
        words = self.worker("never").split()
        self.processes.remove(words[1])   # the template is no process
        self.simple.append((name, []))
        return (f"S {name} simple_one_for_one {self.rng.randint(0, 4)} never {restart} {'significant' if significant else '-'} 1 " + " ".join(words))

    def restart(self, automatic):
        restart = self.rng.choice(["permanent", "permanent", "transient", "temporary"])
        return restart, automatic != "never" and restart != "permanent" and self.rng.random() < 0.6

    def worker(self, automatic):
        rng, name = self.rng, f"w{self.next()}"
        restart, significant = self.restart(automatic)
        fail_from = rng.choice([0] * 7 + [1, 2, 3])
        self.processes.append(name)
        return (f"W {name} {restart} {'significant' if significant else '-'} {rng.choice(['trap', '-', '-'])} {fail_from} "
                f"{rng.choice(['wait', 'wait', 'brutal'])}")

    def request(self):
        if self.simple and (not self.supervisors or self.rng.random() < 0.5):
            return self.simple_request()
        name, children = self.rng.choice(self.supervisors)
        kind = self.rng.choice(["terminate", "terminate", "restart", "restart", "delete", "start", "children", "children"])
        if kind == "children":
            return f"children {name}"
        if kind == "start":
            text = self.worker("never")
            children.append(text.split()[1])
            return f"start {name} {text}"
        return f"{kind} {name} {self.rng.choice(children)}"


    def simple_request(self):
        name, children = self.rng.choice(self.simple)
        kind = self.rng.choice(["add", "add", "add", "drop", "children"] if children else ["add"])
        if kind == "children":
            return f"children {name}"
        if kind == "drop":
            return f"drop {name} {self.rng.choice(children)}"
        child = f"w{self.next()}"
        children.append(child)
        self.processes.append(child)
        return f"add {name} {child}"


def generate(seed, number):
    """Program `number` of `seed`: the same for ever, whatever the other programs are."""
    return Generator(f"{seed}/{number}").program()
