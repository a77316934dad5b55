"""The codec, against the vectors of RFC 8949, appendix A, and against what must not pass."""
import collections
import enum
import math
import random
import unittest

import context  # noqa: F401
from orrery import _cbor

# (hex, value): those of appendix A that are plain data, in their preferred form
BOTH_WAYS = [
    ("00", 0), ("01", 1), ("0a", 10), ("17", 23), ("1818", 24), ("1819", 25), ("1864", 100), ("1903e8", 1000), ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000), ("1bffffffffffffffff", 18446744073709551615),
    ("20", -1), ("29", -10), ("3863", -100), ("3903e7", -1000),
    ("fb3ff199999999999a", 1.1), ("fb7e37e43c8800759c", 1.0e300), ("fbc010666666666666", -4.1),
    ("f4", False), ("f5", True), ("f6", None), ("40", b""), ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""), ("6161", "a"), ("6449455446", "IETF"), ("62225c", "\"\\"), ("62c3bc", "\u00fc"), ("63e6b0b4", "\u6c34"), ("64f0908591", "\U00010151"),
    ("80", []), ("83010203", [1, 2, 3]), ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26))),
    ("a0", {}), ("a26161016162820203", {"a": 1, "b": [2, 3]}), ("826161a161626163", ["a", {"b": "c"}]),
    ("a56161614161626142616361436164614461656145", {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}),
]
# Read, but written in another form: shorter floats; tags, which are passed over.
READ_ONLY = [
    ("f90000", 0.0), ("f98000", -0.0), ("f93c00", 1.0), ("f93e00", 1.5), ("f97bff", 65504.0), ("f90001", 5.960464477539063e-8),
    ("f90400", 0.00006103515625), ("f9c400", -4.0), ("fa47c35000", 100000.0), ("fa7f7fffff", 3.4028234663852886e+38),
    ("f97c00", math.inf), ("f9fc00", -math.inf), ("fa7f800000", math.inf), ("fbfff0000000000000", -math.inf),
    ("3bffffffffffffffff", -18446744073709551616),
    ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"), ("c11a514b67b0", 1363896240), ("c1fb41d452d9ec200000", 1363896240.5),
    ("d74401020304", b"\x01\x02\x03\x04"), ("d818456449455446", b"dIETF"), ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", "http://www.example.com"),
    ("c249010000000000000000", b"\x01" + b"\x00" * 8),
    ("1800", 0), ("1900ff", 255), ("7801" + "61", "a"),  # longer heads than needed are well-formed
]
REFUSED = {
    "5f42010243030405ff": "indefinite", "7f657374726561646d696e67ff": "indefinite", "9fff": "indefinite", "bf61610161629f0203ffff": "indefinite",
    "f7": "simple value", "f0": "simple value", "f818": "simple value", "f8ff": "simple value", "fc": "simple value", "ff": "simple value",
    "1c": "reserved", "7e": "reserved",
    "a201020304": "no text", "a1f5f5": "no text", "a2616101616102": "twice",
    "": "end within", "18": "end within", "1901": "end within", "62c3": "end within", "44010203": "end within", "8201": "end within",
    "a16161": "end within", "fb3ff1": "end within", "c2": "end within", "9bffffffffffffffff": "end within", "5bffffffffffffffff": "end within",
    "62c328": "UTF-8", "a162c32801": "UTF-8", "0000": "left over", "8080": "left over",
}


class Reading(unittest.TestCase):
    def test_takes_what_the_standard_gives_as_examples(self):
        for encoded, value in BOTH_WAYS + READ_ONLY:
            with self.subTest(encoded):
                got = _cbor.loads(bytes.fromhex(encoded))
                self.assertEqual(got, value)
                self.assertIs(type(got), type(value))
        self.assertEqual(math.copysign(1, _cbor.loads(bytes.fromhex("f98000"))), -1)
        self.assertTrue(math.isnan(_cbor.loads(bytes.fromhex("f97e00"))))

    def test_refuses_what_is_no_plain_data_and_says_why(self):
        for encoded, why in REFUSED.items():
            with self.subTest(encoded), self.assertRaisesRegex(_cbor.CborError, why):
                _cbor.loads(bytes.fromhex(encoded))

    def test_bounds_the_nesting(self):
        deepest = b"\x81" * 64 + b"\x00"
        self.assertEqual(_cbor.dumps(_cbor.loads(deepest)), deepest)
        for head in (b"\x81", b"\xa1\x61a"):
            with self.assertRaisesRegex(_cbor.CborError, "nested too deeply"):
                _cbor.loads(head * 65 + b"\x00")
        self.assertEqual(_cbor.loads(b"\xc1" * 100_000 + b"\x05"), 5)

    def test_never_fails_otherwise_whatever_the_bytes(self):
        draw = random.Random(7)
        whole = _cbor.dumps({"a": [1, -2, 3.5, "text", b"bytes", None, True], "b": {"c": {}}})
        for _ in range(3000):
            damaged = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            try:
                _cbor.loads(bytes(damaged[:draw.randint(1, len(damaged))]))
            except _cbor.CborError:
                pass

    def test_says_which_bytes_an_entry_had(self):
        frame = {"type": "work", "state": {"items": [1, 2]}, "work": 3}
        entries, raw = _cbor.loads_map(_cbor.dumps(frame), "state")
        self.assertEqual(entries, frame)
        self.assertEqual(raw, _cbor.dumps({"items": [1, 2]}))
        self.assertEqual(_cbor.loads_map(_cbor.dumps({"type": "ping"}), "state")[1], b"")
        with self.assertRaisesRegex(_cbor.CborError, "not a map"):
            _cbor.loads_map(b"\x80", "state")


class Writing(unittest.TestCase):
    def test_gives_the_preferred_form(self):
        for encoded, value in BOTH_WAYS:
            with self.subTest(encoded):
                self.assertEqual(_cbor.dumps(value).hex(), encoded)

    def test_comes_back_as_it_went(self):
        for value in (2**63, -(2**63), 255, 256, 65535, 65536, 2**32 - 1, 2**32, "x" * 300, b"y" * 70000, [None] * 300, {str(n): n for n in range(300)}):
            self.assertEqual(_cbor.loads(_cbor.dumps(value)), value)

    def test_takes_subclasses_of_plain_types_and_other_mappings(self):
        class Colour(enum.IntEnum):
            RED = 1

        Point = collections.namedtuple("Point", "x y")
        value = collections.OrderedDict(colour=Colour.RED, point=Point(1, 2), raw=bytearray(b"r"), view=memoryview(b"v"),
                                        chain=collections.ChainMap({"a": 1}))
        self.assertEqual(_cbor.loads(_cbor.dumps(value)), {"colour": 1, "point": [1, 2], "raw": b"r", "view": b"v", "chain": {"a": 1}})

    def test_copies_in_what_is_encoded_already(self):
        self.assertEqual(_cbor.dumps({"a": _cbor.Encoded(_cbor.dumps([1]))}), _cbor.dumps({"a": [1]}))

    def test_names_the_place_of_what_is_no_plain_data(self):
        deep = []
        for _ in range(64):
            deep = [deep]
        for value, text in [
            ({"a": [1, {2}]}, r"set is no plain data at \.a\[1\]"),
            (object(), "object is no plain data at the top"),
            ({"a": {1: 2}}, r"the key 1 at \.a is int; keys are texts"),
            ([math.nan], r"nan has no form in plain data at \[0\]"),
            ([0, math.inf], r"inf has no form in plain data at \[1\]"),
            ({"n": 2**64}, r"an integer of 65 bits; .* at \.n"),
            ([-(2**63) - 1], r"an integer of 64 bits"),
            (["\ud800"], r"no valid Unicode at \[0\]"),
            ({"\ud800": 1}, r"no valid Unicode"),
            (deep, "nested too deeply"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(_cbor.CborError, text):
                _cbor.dumps(value)


if __name__ == "__main__":
    unittest.main()
