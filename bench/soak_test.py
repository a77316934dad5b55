#!/usr/bin/env python3
"""What the soak is judged by: each bar by itself, and the load that has to have been there."""
import unittest

import soak_bars

GOOD = {"p99": 900, "memoryMB": [1000, 1050, 1020], "messagesPerSecond": 50_000, "crashesPerSecond": 1000, "processes": 1_000_153, "wanted": 1_000_000}


class Judge(unittest.TestCase):
    def test_what_keeps_every_bar_is_fine(self):
        self.assertEqual(soak_bars.beyond(GOOD), [])

    def test_each_bar_fails_by_itself_and_says_by_what(self):
        for change, word in (({"p99": 1001}, "p99 1001"), ({"memoryMB": [1000, 1200, 1000]}, "1200 MB at most"), ({"memoryMB": [1000, 1101]}, "1101 MB at the end"),
                             ({"messagesPerSecond": 47_000}, "47,000 messages"), ({"crashesPerSecond": 940}, "940 crashes"), ({"processes": 999_999}, "999,999 processes")):
            told = soak_bars.beyond({**GOOD, **change})
            self.assertEqual(len(told), 1, told)
            self.assertIn(word, told[0])


if __name__ == "__main__":
    unittest.main()
