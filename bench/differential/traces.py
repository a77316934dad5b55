"""What processes saw, and when two accounts of it are the same.

What is normalised, because OTP leaves it open (reference manual, "Processes": only signals from one process to another are in order):
- Within one step, what a process received from different senders may have come in any order: it is grouped by sender. What came from
  one sender keeps its order, except that exit and down messages of one sender, and its failed answers, are sorted where they follow
  each other: a process that ends tells its links, its monitors and its callers in no given order.
- Of different processes the order in which things happen is open, but for a supervisor's children: it starts and stops them one after the
  other. So of each step the order in which its children started and ended is compared; not of those that a link ties to others and that end
  with them, whenever that is, nor of the ends of a simple_one_for_one's, which are told to end at once. Nor of the ends of children whose
  supervisor is killed: its links end them. And nor of those whose supervisor did not start, because one after them did not: Orrery's start is done when it returns, so it cannot wait for one that traps
  exits, and stops all at once where OTP stops them in reverse.
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
            if event[0] in ("exit", "down") or (event[0] == "answer" and event[2].endswith(" failed")):
                run.append(event)
                continue
            ordered += sorted(run) + [event]
            run = []
        ordered += sorted(run)
    return ordered + ended


def difference(steps, theirs, ours):
    """(step, text): the first place where two accounts of the program `steps` differ; None where they do not."""
    theirs, ours = ({**normalise(account), **children_in_order(steps, account)} for account in (theirs, ours))
    for place in sorted(set(theirs) | set(ours)):
        if theirs.get(place) != ours.get(place):
            step, who = place
            return step, f"step {step}, {who}: Erlang {tell(theirs.get(place))}; Orrery {tell(ours.get(place))}"
    return None


def children_in_order(steps, events):
    """{(step, "children of S"): [(kind, "-", who), ...]}: who started and ended, one after the other."""
    above, tied, simple = parents(steps), linked(steps), simple_ones(steps)
    killed = {(step, who.split("#")[0]) for step, who, kind, _, detail in events if kind == "ended" and detail not in ("shutdown", "normal")}
    order, alive, early = {}, set(), {}
    for step, who, kind, _, _ in events:
        base = who.split("#")[0]
        parent = above.get(base)
        if kind == "started":
            alive.add(base)
            early.pop(base, None)         # it has started, and all its children with it
            if parent not in alive:
                early.setdefault(parent, set()).add(who)
        elif kind == "ended":
            alive.discard(base)
        if kind not in ("started", "ended") or parent is None or parent.startswith("p") or base in tied:
            continue
        if kind == "ended" and (parent in simple or (step, parent) in killed or who in early.get(parent, ())):
            continue
        order.setdefault((step, f"children of {parent}"), []).append((kind, "-", who))
    return order


def linked(steps):
    """All that are ever linked by the program itself."""
    tied = set()
    for step in steps:
        for part in step.split(" ; "):
            words = part.split()
            if words[0] == "link" or (words[0] == "spawn" and words[3] in ("link", "both")):
                tied |= {words[1], words[2]}
    return tied


def simple_ones(steps):
    return {words[at - 1] for words in map(str.split, steps) for at in range(len(words)) if words[at] == "simple_one_for_one"}


def undecided(steps, step, theirs, ours):
    """Whether timing may decide what differs at `step`: two ends meet in one supervisor there, its own (whoever started it ends, or the
    supervisor above it stops it) and that of a child. OTP's supervisor finishes a restart before it looks at its own end, and looks
    between two tries of a failing one; Orrery's does not start what it is about to stop. A step like that says little about what follows
    either, so the comparison of this program ends there."""
    above = {name: parent for name, parent in parents(steps).items() if name.startswith("s")}
    ended = {who.split("#")[0] for account in (theirs, ours) for at, who, kind, _, _ in account if at == step and kind == "ended"}
    return any(name in ended and (parent in ended or parent in above) for name, parent in above.items())


def parents(steps):
    """Of each that is supervised, and of each supervisor that a process started: who started it. REQUIRES: a supervisor's children follow it
    (README.md)."""
    above = {}
    for step in steps:
        words = step.split()
        if words[0] in ("sup", "start"):
            tree(words[2:], words[1], above)
        elif words[0] == "add":
            above[words[2]] = words[1]
    return above


def tree(words, parent, above):
    above[words[1]] = parent
    if words[0] == "W":
        return words[7:]
    rest = words[8:]
    for _ in range(int(words[7])):
        rest = tree(rest, words[1], above)
    return rest


def tell(seen):
    if not seen:
        return "nothing"
    return ", ".join(f"{kind} {detail}" + ("" if sender == "-" else f" from {sender}") for kind, sender, detail in seen)
