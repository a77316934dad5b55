#!/usr/bin/env python3
"""The arithmetic of compare.py: medians over rounds, ratios, bars, and the shape of what it writes."""
import pathlib
import subprocess
import unittest

import compare
import peers


def rounds(factor, names, count=300):
    """Three rounds in which every row takes factor, 2 * factor and 9 * factor."""
    return [{name: {"unit": "us", "p50": factor * times, "p99": 10 * factor * times, "count": count} for name in names} for times in (2, 9, 1)]


def ours(factor=0.1, **how):
    return rounds(factor, {row.orrery for row in compare.ROWS}, **how)


def theirs(peer, factor=1.0):
    return rounds(factor, {getattr(row, peer) for row in compare.ROWS} - {None})


class Compare(unittest.TestCase):
    def test_a_row_is_the_median_of_its_rounds_and_the_ratio_is_the_peers_by_ours(self):
        row = compare.compare(ours(), {"erlang": theirs("erlang")})[0]
        self.assertAlmostEqual(row["orrery"], 0.2)
        self.assertAlmostEqual(row["peer"], 2.0)
        self.assertAlmostEqual(row["ratio"], 10)
        self.assertAlmostEqual(row["orreryP99"], 2)
        self.assertAlmostEqual(row["peers"]["erlang"]["ratioP99"], 10)

    def test_what_is_over_one_of_its_bars_is_beyond_and_a_row_without_a_bar_is_neither(self):
        def within(factor):
            return {row["name"]: row["within"] for row in compare.compare(ours(factor), {"erlang": theirs("erlang")}) if row["kind"] == "native"}
        self.assertIs(within(1000)["call, round trip"], False)
        self.assertIs(within(0.00001)["call, round trip"], True)
        self.assertIsNone(within(1)["bare message, round trip"])
        self.assertIs(within(0.7)["killed, until its name answers"], False)   # p50 1.4 of 1.5, p99 14 of 10

    def test_every_row_has_what_tools_read(self):
        rows = compare.compare(ours(), {"erlang": theirs("erlang"), "caf": theirs("caf")})
        self.assertEqual(len(rows), len(compare.ROWS))
        for row in rows:
            self.assertLessEqual({"name", "kind", "unit", "orrery", "peer", "ratio"}, set(row))
            self.assertIn(row["kind"], ("native", "lua"))
            for figure in ("orrery", "peer", "ratio"):
                self.assertIsInstance(row[figure], float)
        self.assertEqual(len({(row["kind"], row["name"]) for row in rows}), len(rows))
        self.assertEqual(len(list(compare.table(rows, {"erlang": "Erlang", "caf": "CAF"}))), 1 + len(rows))

    def test_a_row_is_of_the_peers_that_have_it(self):
        rows = compare.compare(ours(), {"erlang": theirs("erlang"), "caf": theirs("caf")})
        crash = next(row for row in rows if row["name"].startswith("killed"))
        self.assertEqual(set(crash["peers"]), {"erlang"})
        self.assertEqual(set(rows[0]["peers"]), {"erlang", "caf"})
        alone = compare.compare(ours(), {"caf": theirs("caf")})
        self.assertNotIn(crash["name"], {row["name"] for row in alone})

    def test_what_is_measured_once_a_round_has_no_p99(self):
        row = compare.compare(ours(count=1), {"erlang": theirs("erlang")})[0]
        self.assertIsNone(row["orreryP99"])
        self.assertIsNone(row["peers"]["erlang"]["ratioP99"])
        self.assertEqual(len(list(compare.table([row], {"erlang": "Erlang"}))), 2)

    def test_a_row_that_a_system_did_not_measure_is_an_error_and_not_a_gap(self):
        with self.assertRaises(KeyError):
            compare.compare(rounds(1, {"kernel/call"}), {"erlang": rounds(1, {"call"})})

    def test_vs_takes_known_peers_once(self):
        def refuse(text):
            raise ValueError(text)
        here = pathlib.Path("/nowhere")
        self.assertEqual(compare.chosen(None, here, refuse), ["erlang"])
        self.assertEqual(compare.chosen("erlang,caf", here, refuse), ["erlang", "caf"])
        for wrong in ("", "pony", "erlang,erlang"):
            with self.assertRaises(ValueError):
                compare.chosen(wrong, here, refuse)
        self.assertEqual(set(peers.PEERS), {"erlang", "caf"})

    def test_dev_shows_the_options_of_these_benchmarks_and_not_its_own_help(self):
        dev = pathlib.Path(__file__).resolve().parents[1] / "dev"
        for what, option in (("processes", "--rounds"), ("soak", "--idle")):
            shown = subprocess.run([dev, "bench", what, "--help"], capture_output=True, text=True, check=True).stdout
            self.assertTrue(shown.startswith(f"usage: ./dev bench {what}"), shown)
            self.assertIn(option, shown)


if __name__ == "__main__":
    unittest.main()
