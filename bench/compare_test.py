#!/usr/bin/env python3
"""The arithmetic of compare.py: medians over rounds, ratios, bars, and the shape of what it writes."""
import unittest

import compare


def rounds(factor, names):
    """Three rounds in which every row takes factor, 2 * factor and 9 * factor."""
    return [{name: {"unit": "us", "p50": factor * times, "p99": 10 * factor * times} for name in names} for times in (2, 9, 1)]


class Compare(unittest.TestCase):
    def rows(self, ours=0.1, theirs=1.0):
        return compare.compare(rounds(ours, {row[1] for row in compare.ROWS}), rounds(theirs, {row[2] for row in compare.ROWS}))

    def test_a_row_is_the_median_of_its_rounds_and_the_ratio_is_the_peers_by_ours(self):
        row = self.rows()[0]
        self.assertAlmostEqual(row["orrery"], 0.2)
        self.assertAlmostEqual(row["peer"], 2.0)
        self.assertAlmostEqual(row["ratio"], 10)
        self.assertAlmostEqual(row["p99"]["orrery"], 2)

    def test_what_is_over_its_bar_is_beyond_and_a_row_without_a_bar_is_neither(self):
        slow = {row["name"]: row["within"] for row in self.rows(ours=1000) if row["kind"] == "native"}
        fast = {row["name"]: row["within"] for row in self.rows(ours=0.00001) if row["kind"] == "native"}
        self.assertIs(slow["call, round trip"], False)
        self.assertIs(fast["call, round trip"], True)
        self.assertIsNone(fast["bare message, round trip"])

    def test_every_row_has_what_tools_read(self):
        for row in self.rows():
            self.assertLessEqual({"name", "kind", "unit", "orrery", "peer", "ratio"}, set(row))
            self.assertIn(row["kind"], ("native", "lua"))
        self.assertEqual(len(list(compare.table(self.rows(), "Erlang"))), 1 + len(compare.ROWS))

    def test_a_row_that_a_system_did_not_measure_is_an_error_and_not_a_gap(self):
        with self.assertRaises(KeyError):
            compare.compare(rounds(1, {"kernel/call"}), rounds(1, {"call"}))


if __name__ == "__main__":
    unittest.main()
