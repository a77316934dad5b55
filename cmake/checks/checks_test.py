#!/usr/bin/env python3
"""The checks find what they are for, and only that."""
import unittest

import core_symbols
import include_rules
import semantics_table
import tidy_tree


def broken(path, text):
    return [what for _, what, _ in include_rules.violations(path, text)]


class IncludeRules(unittest.TestCase):
    def test_a_room_may_include_itself_and_those_below_it(self):
        self.assertEqual(broken("mesh/node/core.cpp", '#include "mesh/node/core.hpp"\n#include "mesh/wire/frame.hpp"\n'), [])

    def test_a_room_may_not_include_a_sibling(self):
        self.assertEqual(len(broken("mesh/process/a.cpp", '#include "mesh/membership/b.hpp"\n')), 1)

    def test_a_nested_room_is_not_its_parent(self):
        self.assertEqual(broken("kube/local/a.cpp", '#include "kube/client.hpp"\n'), [])
        self.assertEqual(len(broken("kube/client.cpp", '#include "kube/local/server.hpp"\n')), 1)

    def test_include_paths_start_at_the_root(self):
        self.assertEqual(len(broken("kube/client.cpp", '#include "client.hpp"\n')), 1)

    def test_a_core_includes_no_shell_header(self):
        for header in ("boost/asio.hpp", "boost/asio/ip/tcp.hpp", "thread", "cpprest/http_client.h", "random", "fstream"):
            self.assertEqual(len(broken("mesh/wire/a.hpp", f"#include <{header}>\n")), 1, header)
        self.assertEqual(broken("mesh/wire/a.hpp", "#include <chrono>\n#include <boost/container/flat_map.hpp>\n"), [])

    def test_a_shell_may_use_the_network(self):
        self.assertEqual(broken("mesh/net/a.cpp", "#include <boost/asio.hpp>\nauto t = std::chrono::steady_clock::now();\n"), [])

    def test_a_core_reads_no_clock_but_may_speak_of_one(self):
        self.assertEqual(len(broken("mesh/node/a.cpp", "auto t = std::chrono::steady_clock::now();\n")), 1)
        self.assertEqual(broken("mesh/node/a.cpp", "// never steady_clock::now() here\n"), [])

    def test_a_seam_is_one_file_and_one_thing(self):
        self.assertEqual(broken("mesh/wire/value.hpp", "std::atomic<int> owners;\n"), [])
        self.assertEqual(len(broken("mesh/wire/value.hpp", "std::mutex lock;\n")), 1)
        self.assertEqual(len(broken("mesh/wire/frame.hpp", "std::atomic<int> frames;\n")), 1)

    def test_the_operators_plan_is_pure(self):
        self.assertEqual(len(broken("operator/plan/plan.cpp", "#include <thread>\n")), 1)
        self.assertEqual(broken("operator/main.cpp", "#include <thread>\n"), [])


class CoreSymbols(unittest.TestCase):
    def test_clocks_sockets_and_entropy_are_found_by_their_whole_names(self):
        bad = ["clock_gettime", "std::chrono::_V2::steady_clock::now()", "socket", "getrandom", "open64", "pthread_create"]
        self.assertEqual(len(list(core_symbols.violations([("a.o", name) for name in bad]))), len(bad))

    def test_names_that_only_contain_them_are_not(self):
        good = ["orrery::wire::open_frame(int)", "orrery::node::core::connect()", "memcpy", "lua_newthread", "strftime"]
        self.assertEqual(list(core_symbols.violations([("a.o", name) for name in good])), [])


class TidyTree(unittest.TestCase):
    def test_long_files_leftovers_and_untested_cores_are_found(self):
        files = {"mesh/node/core.cpp": "int a;\n" * 501, "mesh/wire/a.hpp": "#pragma once\n// " + "TO" + "DO later\n"}
        found = list(tidy_tree.violations(sorted(files), files.__getitem__))
        self.assertEqual(len(found), 3, found)

    def test_a_core_prints_nothing(self):
        files = {"mesh/node/core.test.cpp": "int b;\n", "sidecar/main.cpp": 'std::cerr << "help";\n'}
        self.assertEqual(list(tidy_tree.violations(sorted(files), files.__getitem__)), [])
        for line in ('std::fprintf(stderr, "here\\n");\n', "printf(text);\n", "std::cerr << name;\n"):
            files["mesh/node/core.cpp"] = line
            self.assertEqual(len(list(tidy_tree.violations(sorted(files), files.__getitem__))), 1, line)

    def test_a_tidy_tree_passes(self):
        files = {"mesh/node/core.cpp": "int a;\n", "mesh/node/core.test.cpp": "int b;\n", "mesh/node/core.hpp": "#pragma once\n"}
        self.assertEqual(list(tidy_tree.violations(sorted(files), files.__getitem__)), [])


class SemanticsTable(unittest.TestCase):
    CASES = "\n".join(f"TEST_F(calls, case_{number}) {{" for number in range(semantics_table.CASES_MIN))

    def wrong(self, table, cases=CASES):
        return list(semantics_table.violations(table, {"mesh/kernel/semantics_calls.test.cpp": cases}))

    def test_a_test_that_exists_may_be_named(self):
        self.assertEqual(self.wrong("| row | `calls.case_1` `calls.case_2` |"), [])

    def test_one_that_does_not_is_found(self):
        self.assertEqual(self.wrong("| row | `calls.case_1` `calls.case_x` |"), ["docs/semantics.md: there is no test calls.case_x"])

    def test_a_field_is_no_test(self):
        self.assertEqual(self.wrong("`spec.children` | `calls.case_1` |"), [])

    def test_fewer_cases_than_are_promised_are_found(self):
        self.assertEqual(len(self.wrong("`calls.case_1`", "TEST(calls, case_1) {")), 1)


if __name__ == "__main__":
    unittest.main()
