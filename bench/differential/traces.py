"""What processes saw, and when two accounts of it are the same.

What is normalised, because OTP leaves it open (reference manual, "Processes": only signals from one process to another are in order):
- Within one step, what a process received from different senders may have come in any order: it is grouped by sender. What came from
  one sender keeps its order, except that exit and down messages of one sender that follow each other are sorted: a process that ends
  tells its links and its monitors in no given order.
- What a process saw in the step in which it ended is left out (how it ended is not): whether it still handles what arrived just
  before the signal that ends it, and how far it gets in what it was doing, is a matter of scheduling.
- {shutdown, Term} counts as shutdown and {noproc, ...} as noproc: the terms name Erlang's functions.
- What comes from a process that never had a name is left out: a supervisor that did not start. (Until OTP 25 a parent that traps
  exits gets its exit message besides the answer of start_link; since OTP 26 it does not, and in Orrery it does not.)
"""

def parse(text):
    """Of each program: [(step, who, kind, from, detail)], in the order in which it was seen."""
    programs, current = {}, None
    for line in text.splitlines():
        words = line.split(" ", 4)
        if words[0] == "program":
            current = programs.setdefault(int(words[1]), [])
        elif current is not None and len(words) == 5:
            current.append((int(words[0]), *words[1:]))
        else:
            raise ValueError(f"not a line of a trace: {line!r}")
    return programs


def normalise(events):
    """{(step, who): [event, ...]} in which equal accounts are equal."""
    places = {}
    for step, who, kind, sender, detail in events:
        if who == "?" or sender == "?":
            continue
        places.setdefault((step, who), []).append((kind, sender, detail))
    return {place: in_order(seen) for place, seen in places.items() if in_order(seen)}


def in_order(seen):
    ended = [event for event in seen if event[0] == "ended"]
    if ended:
        seen = []
    by_sender = {}
    for event in seen:
        by_sender.setdefault(event[1], []).append(event)
    ordered = []
    for sender in sorted(by_sender):
        run = []
        for event in by_sender[sender]:
            if event[0] in ("exit", "down"):
                run.append(event)
                continue
            ordered += sorted(run) + [event]
            run = []
        ordered += sorted(run)
    return ordered + ended


def difference(theirs, ours):
    """(step, text): the first place where two accounts differ; None where they do not."""
    theirs, ours = normalise(theirs), normalise(ours)
    for place in sorted(set(theirs) | set(ours)):
        if theirs.get(place) != ours.get(place):
            step, who = place
            return step, f"step {step}, {who}: Erlang {tell(theirs.get(place))}; Orrery {tell(ours.get(place))}"
    return None


def undecided(steps, step, theirs, ours):
    """Whether timing may decide what differs at `step`: two ends meet in one supervisor there, its own (whoever started it ends, or the
    supervisor above it stops it) and that of a child. OTP's supervisor finishes a restart before it looks at its own end, and looks
    between two tries of a failing one; Orrery's does not start what it is about to stop. A step like that says little about what follows
    either, so the comparison of this program ends there."""
    above = parents(steps)
    ended = {who.split("#")[0] for account in (theirs, ours) for at, who, kind, _, _ in account if at == step and kind == "ended"}
    return any(name in ended and (parent in ended or parent in above) for name, parent in above.items())


def parents(steps):
    """Of each supervisor: who started it, a process or a supervisor. REQUIRES: a supervisor's children follow it (README.md)."""
    above = {}
    for step in steps:
        words = step.split()
        if words[0] == "sup":
            tree(words[2:], words[1], above)
    return above


def tree(words, parent, above):
    if words[0] == "W":
        return words[7:]
    above[words[1]] = parent
    rest = words[8:]
    for _ in range(int(words[7])):
        rest = tree(rest, words[1], above)
    return rest


def tell(seen):
    if not seen:
        return "nothing"
    return ", ".join(f"{kind} {detail}" + ("" if sender == "-" else f" from {sender}") for kind, sender, detail in seen)
