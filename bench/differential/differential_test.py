#!/usr/bin/env python3
"""Tests of the differential test: it must find a wrong cell of the exit-signal table, and must not mind what OTP leaves open.

Orrery's own accounts of random programs stand for Erlang's here, so no Erlang is needed; a wrong table is made of them by changing what
one rule of it decides.
"""
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import differential  # noqa: E402
import programs  # noqa: E402
import traces  # noqa: E402

ORRERY = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
COUNT, SEED = 300, "checks"


def changed(event, kind=None, detail=None):
    step, who, was, sender, text = event
    return (step, who, kind or was, sender, detail if detail is not None else text)


# What a kernel with one wrong rule would tell: a function from an event to the one it would tell instead, or None for none.
WRONG_TABLES = {
    "kill can be trapped": lambda e: changed(e, "exit", "kill") if e[2:] == ("ended", "-", "killed") else e,
    "a killed process says kill": lambda e: changed(e, detail="kill") if e[2:] == ("ended", "-", "killed") else e,
    "links of a killed process hear kill": lambda e: changed(e, detail="kill") if e[2] == "exit" and e[4] == "killed" else e,
    "a link does not tell normal ends": lambda e: None if e[2] == "exit" and e[4] == "normal" else e,
    "a reason is lost along a link": lambda e: changed(e, detail="normal") if e[2] == "exit" and e[4] == "boom" else e,
    "a monitor of the dead is silent": lambda e: None if e[2] == "down" and e[4].endswith(" noproc") else e,
    "a monitor of the dead says normal": lambda e: changed(e, detail=e[4].replace("noproc", "normal")) if e[2] == "down" else e,
    "a shutdown is a crash": lambda e: changed(e, detail="boom") if e[2] == "ended" and e[4] == "shutdown" else e,
    "names are never free": lambda e: changed(e, detail="error") if e[2] == "result" and e[4] == "ok" else e,
    "messages get lost": lambda e: None if e[2] == "msg" else e,
    "an answer never comes": lambda e: None if e[2] == "answer" and e[4].endswith(" ok") else e,
    "a caller does not hear that the other has ended": lambda e: None if e[2] == "answer" and e[4].endswith(" failed") else e,
    "a child is not started again": lambda e: None if e[2] == "started" and e[1].startswith("w") and not e[1].endswith("#1") else e,
    "a supervisor has forgotten its children": lambda e: changed(e, detail="0,0,0,0") if e[2] == "result" and "," in e[4] else e,
}


class Wrong(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.programs = {number: programs.generate(SEED, number) for number in range(COUNT)}
        text = "".join(f"program {n}\n" + "".join(step + "\n" for step in steps) + "end\n" for n, steps in cls.programs.items())
        with tempfile.NamedTemporaryFile("w", suffix=".programs") as file:
            file.write(text)
            file.flush()
            told = subprocess.run([ORRERY, file.name], check=True, capture_output=True, text=True, timeout=60).stdout
        cls.right = traces.parse(told)

    def test_the_same_account_does_not_differ(self):
        self.assertEqual(len(self.right), COUNT)
        for number, events in self.right.items():
            self.assertIsNone(traces.difference(self.programs[number], events, list(events)))

    def test_every_wrong_table_is_found(self):
        for name, rule in WRONG_TABLES.items():
            with self.subTest(name):
                found = 0
                for number, events in self.right.items():
                    wrong = [told for told in map(rule, events) if told is not None]
                    found += traces.difference(self.programs[number], events, wrong) is not None
                self.assertGreater(found, 0, f"no program of {COUNT} shows it")

    def test_a_message_out_of_its_senders_order_is_found(self):
        right = [(1, "p1#1", "msg", "p0#1", "1"), (1, "p1#1", "msg", "p0#1", "2")]
        self.assertIsNotNone(traces.difference([], right, right[::-1]))

    def test_an_exit_before_the_message_that_was_sent_before_it_is_found(self):
        right = [(1, "p1#1", "msg", "p0#1", "1"), (1, "p1#1", "exit", "p0#1", "boom")]
        self.assertIsNotNone(traces.difference([], right, right[::-1]))

    def test_what_comes_a_step_later_is_found(self):
        self.assertIsNotNone(traces.difference([], [(1, "p1#1", "msg", "p0#1", "1")], [(2, "p1#1", "msg", "p0#1", "1")]))

    def test_what_otp_leaves_open_does_not_differ(self):
        rng = random.Random(1)
        for number, events in self.right.items():
            places = {}
            for event in events:
                places.setdefault((event[0], event[1], event[3]), []).append(event)
            groups = list(places.values())
            rng.shuffle(groups)  # other senders first, and ends in another order
            in_turn = traces.children_in_order(self.programs[number], events)
            shuffled = [event for group in groups for event in (group[::-1] if all(e[2] in ("exit", "down") for e in group) else group)]
            if not in_turn:  # what supervisors do one after the other is not open
                self.assertIsNone(traces.difference(self.programs[number], events, shuffled))

    def test_children_that_are_stopped_in_another_order_than_the_reverse_are_found(self):
        steps = ["sup p0 S s1 one_for_all 1 never permanent - 2 W w2 permanent - - 0 wait W w3 permanent - - 0 wait", "exit p0 w2 boom"]
        started = [(1, "w2#1", "started", "-", "-"), (1, "w3#1", "started", "-", "-"), (1, "s1#1", "started", "-", "-")]
        ended = [(2, "w2#1", "ended", "-", "boom"), (2, "w3#1", "ended", "-", "shutdown")]
        again = [(2, "w2#2", "started", "-", "-"), (2, "w3#2", "started", "-", "-")]
        right = started + ended + again
        self.assertIsNone(traces.difference(steps, right, list(right)))
        self.assertIsNotNone(traces.difference(steps, right, started + ended[::-1] + again))
        self.assertIsNotNone(traces.difference(steps, right, started + ended + again[::-1]))
        self.assertIsNone(traces.difference(steps + ["link p0 w3"], started + ended + again[:1], started + [ended[1], ended[0]] + again[:1]))

    def test_the_order_in_which_links_and_simple_ones_end_children_is_open(self):
        tree = "one_for_all 1 never permanent - 2 W w2 permanent - - 0 wait W w3 permanent - - 0 wait"
        ends = [(2, "w2#1", "ended", "-", "killed"), (2, "w3#1", "ended", "-", "killed")]
        killed = [(1, name, "started", "-", "-") for name in ("w2#1", "w3#1", "s1#1")] + [(2, "s1#1", "ended", "-", "killed")]
        self.assertIsNone(traces.difference([f"sup p0 S s1 {tree}", "exit p0 s1 kill"], killed + ends, killed + ends[::-1]))
        failed = [(1, "w2#1", "started", "-", "-"), (1, "w3#1", "started", "-", "-")]
        ends = [(1, who, "ended", "-", "shutdown") for _, who, _, _, _ in failed]
        self.assertIsNone(traces.difference([f"sup p0 S s1 {tree}"], failed + ends, failed + ends[::-1]))
        simple = ["sup p0 S s1 simple_one_for_one 1 never permanent - 1 W w9 permanent - - 0 wait", "add s1 w2", "add s1 w3", "exit p0 s1 shutdown"]
        alive = [(1, "s1#1", "started", "-", "-"), (2, "w2#1", "started", "-", "-"), (3, "w3#1", "started", "-", "-")]
        ends = [(4, who, "ended", "-", "shutdown") for who in ("w2#1", "w3#1", "s1#1")]
        self.assertIsNone(traces.difference(simple, alive + ends, alive + [ends[1], ends[0], ends[2]]))

    def test_a_step_in_which_two_ends_meet_in_one_supervisor_is_left_to_timing(self):
        steps = ["sup p0 S s1 one_for_one 1 never permanent - 1 S s2 one_for_all 1 never permanent - 1 W w3 permanent - - 0 wait", "stop p0 boom"]
        self.assertEqual(traces.parents(steps), {"s1": "p0", "s2": "s1", "w3": "s2"})
        both = [(2, "s1#1", "ended", "-", "boom"), (2, "p0#1", "ended", "-", "boom")]
        self.assertTrue(traces.undecided(steps, 2, both, []))
        self.assertTrue(traces.undecided(steps, 2, [(2, "s2#1", "ended", "-", "shutdown")], []))
        self.assertFalse(traces.undecided(steps, 2, both[:1], both[:1]))
        self.assertFalse(traces.undecided(steps, 1, both, both))

    def test_timing_is_not_an_excuse_for_many(self):
        class Always:
            seconds = {"Erlang": 0.0, "Orrery": 0.0}

            def differences(self, numbered):
                return {}, dict.fromkeys(numbered, "step 1: differs")
        differential.SHRINK_ROUNDS, kept = 1, differential.SHRINK_ROUNDS
        try:
            self.assertEqual(differential.compare(Always(), 20, SEED), 1)
        finally:
            differential.SHRINK_ROUNDS = kept


class Small(unittest.TestCase):
    def test_shrinking_keeps_what_the_difference_needs(self):
        steps = [f"send p0 p1 {n}" for n in range(20)]
        steps[7] = "trap p1 on ; exit p0 p1 kill ; send p0 p1 3"
        needed = {"trap p1 on", "send p0 p1 15"}

        def differing(candidates):
            return {number: "" for number, each in candidates.items() if needed <= set(" ; ".join(each).split(" ; "))}
        self.assertEqual(differential.shrink(steps, differing), ["trap p1 on", "send p0 p1 15"])

    def test_programs_are_the_same_for_a_seed(self):
        self.assertEqual(programs.generate("a", 3), programs.generate("a", 3))
        self.assertNotEqual(programs.generate("a", 3), programs.generate("b", 3))

    def test_a_broken_trace_is_refused(self):
        with self.assertRaises(ValueError):
            traces.parse("program 0\nnonsense\n")


if __name__ == "__main__":
    if ORRERY is None:
        sys.exit("differential_test.py: takes the path of orrery-differential first")
    unittest.main()
