"""What a class statement may say, and how a message's argument becomes parameters."""
import unittest

import context  # noqa: F401
import orrery


class Shop(orrery.Process):
    class_name = "shop"
    state_version = 3
    concurrency = 7

    async def init(self, key):
        self.state = key

    @orrery.call
    async def add(self, item):
        return item

    @orrery.call(name="add-many")
    async def add_many(self, *, item: str, count: int = 1):
        return [item] * count

    @orrery.call
    def total(self):
        return 0

    @orrery.cast
    async def clear(self, hard=False):
        pass

    @orrery.info
    async def expire(self, argument):
        pass

    async def terminate(self, reason):
        pass


class Definitions(unittest.TestCase):
    def test_are_what_is_registered(self):
        self.assertEqual(Shop.definition.registration("shop 1.0"), {
            "class": "shop", "calls": ["add", "add-many", "total"], "casts": ["clear"], "callbacks": ["init", "terminate", "info"],
            "stateVersion": 3, "concurrency": 7, "app": "shop 1.0"})

    def test_are_inherited(self):
        class Better(Shop):
            class_name = "better"

            @orrery.call
            async def total(self):
                return 1

        self.assertEqual(sorted(Better.definition.calls), ["add", "add-many", "total"])
        self.assertTrue(Better.definition.calls["total"].is_async)

    def test_find_a_timers_handler_by_its_whole_name_or_by_what_is_before_the_slash(self):
        self.assertEqual(Shop.definition.handler("info", "expire/pen/2").name, "expire")
        self.assertIsNone(Shop.definition.handler("info", "expired"))

    def test_that_could_not_work_are_refused_where_they_stand(self):
        def two(self, a, b): ...
        def many(self, *all): ...
        def mixed(self, a, *, b): ...
        async def generator(self): yield 1
        for method, why in [(two, "a message has one argument"), (many, "a message has one argument"), (mixed, "a message has one argument"),
                            (generator, "is a generator")]:
            with self.subTest(method.__name__), self.assertRaisesRegex(TypeError, why):
                type("Bad", (orrery.Process,), {"class_name": "bad", "method": orrery.call(method)})
        for attributes, why in [({"class_name": "Bad_Name"}, "a class is named like 'cart'"), ({"class_name": "x" * 64}, "a class is named"),
                                ({"state_version": -1}, "state_version"), ({"concurrency": 0}, "concurrency")]:
            with self.subTest(attributes), self.assertRaisesRegex(TypeError, why):
                type("Bad", (orrery.Process,), attributes)
        with self.assertRaisesRegex(TypeError, "two methods for call 'a'"):
            type("Bad", (orrery.Process,), {"x": orrery.call(name="a")(lambda self: 1), "y": orrery.call(name="a")(lambda self: 1)})
        with self.assertRaisesRegex(TypeError, "1 to 128 bytes"):
            type("Bad", (orrery.Process,), {"x": orrery.call(name="n" * 129)(lambda self: 1)})
        with self.assertRaisesRegex(TypeError, r"Bad.stop hides orrery.Process.stop; .* @orrery.call\(name='stop'\)"):
            type("Bad", (orrery.Process,), {"stop": orrery.call(lambda self: 1)})
        for taken in ("state", "definition"):
            with self.assertRaisesRegex(TypeError, f"hides orrery.Process.{taken}"):
                type("Bad", (orrery.Process,), {taken: orrery.call(lambda self: 1)})
        with self.assertRaisesRegex(TypeError, "given two names, 'a' and 'b'"):
            orrery.info("a", name="b")
        with self.assertRaisesRegex(TypeError, "is for methods, not for int"):
            orrery.call(5)


class Names(unittest.TestCase):
    def test_may_be_given_to_a_decorator_without_a_keyword(self):
        class Post(orrery.Process):
            class_name = "post"

            @orrery.info("send")
            async def sending(self, argument): ...

        self.assertEqual(list(Post.definition.infos), ["send"])

    def test_of_errors_are_those_that_programs_have(self):
        for kind in (orrery.OrreryError, orrery.NotFound, orrery.Refused, orrery.ExitSignal):
            self.assertEqual(f"{kind.__module__}.{kind.__qualname__}", f"orrery.{kind.__name__}")


class Arguments(unittest.TestCase):
    def given(self, method, argument):
        return Shop.definition.calls.get(method, Shop.definition.casts.get(method)).arguments(argument)

    def test_go_to_the_one_parameter(self):
        self.assertEqual(self.given("add", None), ((None,), {}))
        self.assertEqual(self.given("add", {"item": 1}), (({"item": 1},), {}))

    def test_of_a_call_are_refused_where_there_is_no_parameter(self):
        self.assertEqual(self.given("total", None), ((), {}))
        with self.assertRaisesRegex(orrery.Refused, "takes no argument, and got a int") as caught:
            self.given("total", 5)
        self.assertEqual(caught.exception.code, "invalid_argument")

    def test_of_others_are_dropped_where_there_is_no_parameter(self):
        class Bell(orrery.Process):
            class_name = "bell"

            @orrery.info
            async def ring(self): ...

        self.assertEqual(Bell.definition.infos["ring"].arguments(5), ((), {}))

    def test_that_are_null_leave_a_default(self):
        self.assertEqual(self.given("clear", None), ((), {}))
        self.assertEqual(self.given("clear", True), ((True,), {}))

    def test_that_are_maps_fill_keywords(self):
        self.assertEqual(self.given("add-many", {"item": "pen", "count": 2}), ((), {"item": "pen", "count": 2}))

    def test_that_do_not_fit_are_the_callers_mistake(self):
        for argument, why in [(5, "a map with item, count, not int"), ({}, "no 'item'"), (None, "no 'item'"), ({"item": "a", "x": 1}, "has 'x'")]:
            with self.subTest(argument), self.assertRaisesRegex(orrery.Refused, why) as caught:
                self.given("add-many", argument)
            self.assertEqual(caught.exception.code, "invalid_argument")


if __name__ == "__main__":
    unittest.main()
