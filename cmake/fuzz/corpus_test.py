#!/usr/bin/env python3
"""The form of corpus files: what is written is read again, by both readers' rules, and names stay."""
import random
import unittest

import corpus


class Corpus(unittest.TestCase):
    def test_any_bytes_come_back_from_their_line(self):
        rng = random.Random(1)
        for size in range(1, 200):
            data = rng.randbytes(size)
            line = corpus.to_line(data)
            self.assertEqual(corpus.from_line(line), data)
            self.assertTrue(line.isascii() and "\n" not in line and line and not line.startswith("#"))

    def test_text_stays_readable(self):
        self.assertEqual(corpus.to_line(b'return "a\\n"\n'), 'return "a\\\\n"\\n')

    def test_named_inputs_stay_first_and_in_order_and_others_are_sorted_and_told_once(self):
        inputs = [("what was found", b"zz"), (None, b"long"), (None, b"b"), ("another", b"#"), (None, b"b"), (None, b"zz"), (None, b"")]
        text = corpus.format(inputs)
        self.assertEqual(corpus.parse(text), [("what was found", b"zz"), ("another", b"#"), (None, b"b"), (None, b"long")])
        self.assertEqual(corpus.format(corpus.parse(text)), text)

    def test_a_wrong_escape_is_refused(self):
        for line in ("\\", "\\q", "\\x1", "\\xAG"):
            with self.assertRaises(ValueError):
                corpus.from_line(line)


if __name__ == "__main__":
    unittest.main()
