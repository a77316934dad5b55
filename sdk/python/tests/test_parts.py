"""The small pure parts: frames, patches, names, addresses, pauses, the gate, errors."""
import asyncio
import fcntl
import pathlib
import pickle
import resource
import socket
import unittest

import context  # noqa: F401
import orrery
from orrery import _cbor, _frames, _patch
from orrery._backoff import Backoff
from orrery._endpoints import Endpoint, endpoints, parse_endpoint
from orrery._gate import Gate
from orrery._http import is_readable
from orrery._names import Name, check_method, parse_name
from orrery._trace import is_traceparent
from orrery._values import encode_value
from orrery.errors import CODES, error_for


class Descriptors(unittest.TestCase):
    def test_may_have_any_number(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 2000:
            self.skipTest(f"at most {hard} files may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        here, there = socket.socketpair()
        high = socket.socket(fileno=fcntl.fcntl(here.fileno(), fcntl.F_DUPFD_CLOEXEC, 1500))
        with here, there, high:
            self.assertFalse(is_readable(high, 0))
            there.send(b"x")
            self.assertTrue(is_readable(high, 10))


class Frames(unittest.TestCase):
    def test_are_found_however_their_bytes_arrive(self):
        sent = [{"type": "a"}, {"type": "b", "data": "x" * 5000}, {"type": "c"}]
        stream = b"".join(map(_frames.encode, sent))
        for size in (1, 3, 4, 5, 1000, len(stream)):
            splitter = _frames.Splitter()
            bodies = [body for at in range(0, len(stream), size) for body in splitter.feed(stream[at:at + size])]
            self.assertEqual([_frames.decode(body)[0] for body in bodies], sent)

    def test_have_a_length_within_bounds(self):
        for head in (b"\0\0\0\0", b"\0\x40\0\1", b"HTTP/1.1 400"):
            with self.assertRaisesRegex(orrery.ProtocolError, "1 to 4194304 are accepted"):
                list(_frames.Splitter().feed(head))

    def test_are_maps_with_a_type(self):
        for body in (b"\x80", _cbor.dumps({"typ": "x"}), _cbor.dumps({"type": 1}), b"\xff"):
            with self.assertRaises(orrery.ProtocolError):
                _frames.decode(body)


class Patches(unittest.TestCase):
    CASES = [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": 3}, "e": 5}, {"a": None, "b": {"c": 4}, "e": 5}),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, {"a": [1, 2, 3]}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": {}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"n": 1}, {"n": 1.0}, {"n": 1.0}),
        ({"n": 1}, {"n": True}, {"n": True}),
        ({"n": 0.0}, {"n": -0.0}, {"n": -0.0}),
        ({"keep": None, "a": 1}, {"keep": None, "a": 2}, {"a": 2}),
        ({"a": 1}, {"a": [None]}, {"a": [None]}),
    ]

    def test_make_the_new_state_of_the_old(self):
        for before, after, patch in self.CASES:
            with self.subTest(after=after):
                self.assertEqual(repr(_patch.diff(before, after)), repr(patch))
                self.assertEqual(_cbor.dumps(dict(sorted(_patch.apply(before, patch).items()))), _cbor.dumps(dict(sorted(after.items()))))

    def test_are_not_made_where_none_can_be(self):
        for before, after in [([1], {"a": 1}), ({"a": 1}, [1]), ({"a": 1}, {"a": None}), ({"a": 1}, {"b": {"c": None}}), (None, {})]:
            self.assertIsNone(_patch.diff(before, after))

    def test_of_the_standard_are_applied_as_it_says(self):
        for target, patch, result in [  # RFC 7396, appendix A
            ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}), ({"a": "b"}, {"a": None}, {}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}), ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "b"}, ["c"], ["c"]), ({"a": "foo"}, None, None), ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}), ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ]:
            self.assertEqual(_patch.apply(target, patch), result)


class Names(unittest.TestCase):
    def test_are_split_at_the_first_slash(self):
        self.assertEqual(parse_name("cart/ada/1"), Name("cart", "ada/1"))
        self.assertEqual(str(parse_name(Name("cart", "ä"))), "cart/ä")

    def test_that_name_nothing_are_refused_before_they_are_sent(self):
        for name in ("cart", "/ada", "cart/", "c" * 64 + "/a", "cart/" + "k" * 1025, "cart/\ud800", 7, Name("", "a")):
            with self.subTest(name), self.assertRaises(orrery.InvalidArgument) as caught:
                parse_name(name)
            self.assertEqual(caught.exception.effect, "not_executed")
        for method in ("", "m" * 129, None):
            with self.assertRaises(orrery.InvalidArgument):
                check_method(method)


class Addresses(unittest.TestCase):
    def test_are_unix_sockets_or_tcp(self):
        for text, endpoint in [("/run/x.sock", Endpoint("/run/x.sock")), ("unix:x.sock", Endpoint("x.sock")), ("127.0.0.1:3603", Endpoint("", "127.0.0.1", 3603)),
                               ("tcp:[::1]:9", Endpoint("", "::1", 9))]:
            self.assertEqual(parse_endpoint(text), endpoint)
            self.assertEqual(parse_endpoint(str(endpoint)), endpoint)
        for text in ("localhost", "host:", ":80", "host:0", "host:65536", "host:x", "unix:", "host:²"):
            with self.assertRaisesRegex(ValueError, "no address|no path"):
                parse_endpoint(text)

    def test_of_websockets_and_of_http_are_none_of_this_sdk(self):
        for text in ("ws://127.0.0.1:3600", "ws://127.0.0.1:3600/v1/sdk", "wss://x:3600", "http://127.0.0.1:3600", "tcp://127.0.0.1:3603"):
            with self.assertRaisesRegex(ValueError, "accepted are /path, unix:/path, host:port and tcp:host:port; this SDK does not speak WebSocket or HTTP"):
                parse_endpoint(text)

    def test_come_from_the_environment_best_first(self):
        both = {"ORRERY_SOCKET": "/a.sock", "ORRERY_TCP": "127.0.0.1:1"}
        self.assertEqual([str(e) for e in endpoints(None, both)], ["unix:/a.sock", "tcp:127.0.0.1:1"])
        self.assertEqual([str(e) for e in endpoints("/b.sock", both)], ["unix:/b.sock"])
        self.assertEqual([str(e) for e in endpoints(None, {})], ["unix:/run/orrery/sdk.sock", "tcp:127.0.0.1:3603"])


class Pauses(unittest.TestCase):
    def test_double_up_to_the_most_and_are_jittered(self):
        longest = Backoff(draw=lambda: 1.0)
        self.assertEqual([longest.next() for _ in range(8)], [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
        longest.reset()
        self.assertEqual(longest.next(), 0.05)
        self.assertEqual(Backoff(draw=lambda: 0.0).next(), 0.025)


class TheGate(unittest.IsolatedAsyncioTestCase):
    async def test_lets_in_as_many_as_there_is_room_in_their_order(self):
        gate, entered = Gate(2), []

        async def enter(name):
            await gate.enter()
            entered.append(name)

        tasks = [asyncio.ensure_future(enter(name)) for name in "abcd"]
        await asyncio.sleep(0)
        self.assertEqual(entered, ["a", "b"])
        tasks[2].cancel()
        gate.leave()
        await asyncio.wait(tasks, timeout=1)
        self.assertEqual((entered, gate.inside), (["a", "b", "d"], 2))

    async def test_admits_more_when_it_grows(self):
        gate = Gate(0)
        waiting = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.resize(1)
        await asyncio.wait_for(waiting, 1)

    async def test_turns_away_who_waited_too_long_or_too_many(self):
        gate = Gate(0, waiting_max=1)
        with self.assertRaises(orrery.DeadlineExceeded) as late:
            await gate.enter(0.001)
        self.assertEqual(late.exception.effect, "not_executed")
        gate = Gate(0, waiting_max=1)
        waiting = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        with self.assertRaises(orrery.Overloaded):
            await gate.enter()
        waiting.cancel()

    async def test_keeps_no_place_for_one_who_was_let_in_and_cancelled_at_once(self):
        gate = Gate(1)
        await gate.enter()
        waiting = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.leave()
        waiting.cancel()
        await asyncio.wait([waiting])
        self.assertEqual(gate.inside, 0)


class Errors(unittest.TestCase):
    def test_have_a_class_for_each_code_and_the_languages_own_where_there_is_one(self):
        problem = error_for("deadline_exceeded", "late", "unknown")
        self.assertIsInstance(problem, orrery.DeadlineExceeded)
        self.assertIsInstance(problem, TimeoutError)
        self.assertEqual(str(problem), "deadline_exceeded: late [unknown]")
        self.assertIsInstance(error_for("not_found", ""), LookupError)
        self.assertIsInstance(error_for("invalid_argument", ""), ValueError)

    def test_of_codes_and_effects_that_are_not_known_are_kept_true(self):
        problem = error_for("brand_new", "text", "surely")
        self.assertEqual((type(problem), problem.code, problem.effect), (orrery.OrreryError, "brand_new", "unknown"))

    def test_survive_pickling(self):
        for problem in (error_for("deadline_exceeded", "late", "not_executed"), error_for("new", "x", "executed")):
            copy = pickle.loads(pickle.dumps(problem))
            self.assertEqual((type(copy), str(copy)), (type(problem), str(problem)))

    def test_of_handlers_have_codes_that_the_protocol_knows(self):
        with self.assertRaisesRegex(ValueError, "'nope' is no code; use one of already_exists"):
            orrery.Refused("nope", "x")
        page = (pathlib.Path(__file__).resolve().parents[3] / "docs" / "sdk-python.md").read_text()
        first, _, rest = page[page.index("orrery.Refused("):].partition("\n## ")
        for code in CODES:
            self.assertIn(f"``{code}``", orrery.Refused.__doc__)
            self.assertIn(f"`{code}`", first)
        with self.assertRaisesRegex(ValueError, "effect is one of"):
            orrery.Refused("conflict", "x", effect="maybe")

    def test_of_values_are_the_callers(self):
        with self.assertRaisesRegex(orrery.InvalidArgument, r"the argument cannot be sent: set is no plain data at \.a"):
            encode_value({"a": set()}, "argument")
        with self.assertRaisesRegex(orrery.TooLarge, "the reply has 1100005 bytes; at most 1048576"):
            encode_value("x" * 1_100_000, "reply")


class Traces(unittest.TestCase):
    def test_are_known_by_their_form(self):
        self.assertTrue(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        for text in ("", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
            self.assertFalse(is_traceparent(text))


if __name__ == "__main__":
    unittest.main()
