#!/usr/bin/env python3
"""A check that cannot fail is no check: each rule meets a planted fault; a sound tree passes."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

import cpp_text
import symbols
import tidy

MARK = "TO" + "DO"

SOUND = {
    "src/domain/CMakeLists.txt":
        "penstock_library(domain SOURCES money.cpp error_code.cpp PUBLIC fmt::fmt)\n"
        "penstock_test(money_test SOURCES money_test.cpp LIBS penstock_domain)\n",
    "src/domain/money.h": "#pragma once\nint money();\n",
    "src/domain/money.cpp": '#include "domain/money.h"\nint money() { return 1; }\n',
    "src/domain/money_test.cpp": '#include <random>\n#include "domain/money.h"\n',
    "src/domain/error_code.h":
        "#pragma once\n#define CODES(X) \\\n"
        '  X(not_found, "not-found", 404, "There is nothing here") \\\n'
        '  X(forbidden, "forbidden", 403, "The key reaches elsewhere")\n',
    "src/domain/error_code.cpp": '#include "domain/error_code.h"\n',
    "src/ports/CMakeLists.txt":
        "penstock_library(ports SOURCES store.cpp PUBLIC penstock_domain)\n",
    "src/ports/store.h": '#pragma once\n#include "domain/money.h"\n',
    "src/ports/store.cpp": '#include "ports/store.h"\n',
    "src/adapters/memory/CMakeLists.txt":
        "penstock_library(memory SOURCES memory_store.cpp PUBLIC penstock_ports)\n",
    "src/adapters/memory/memory_store.h": '#pragma once\n#include "ports/store.h"\n',
    "src/adapters/memory/memory_store.cpp": '#include "adapters/memory/memory_store.h"\n',
    "src/main/CMakeLists.txt": "add_executable(penstock main.cpp)\n",
    "src/main/main.cpp":
        '#include "adapters/memory/memory_store.h"\nconst char* kName = "penstock_orders_total";\n'
        "int main() { return 0; }\n",
    "docs/errors/not-found.md": "# not-found\n",
    "docs/errors/forbidden.md": "# forbidden\n",
    "docs/metrics.md": "| `penstock_orders_total` | orders placed |\n",
    "README.md": "[metrics](docs/metrics.md#orders) and [elsewhere](https://example.org/x)\n",
}


class PlantedTree(unittest.TestCase):
    """Plants a sound tree, changes files, and reads the complaints."""

    def complaints(self, changes=None, removed=()):
        root = Path(tempfile.mkdtemp(prefix="tidy-"))
        self.addCleanup(shutil.rmtree, root)
        files = {**SOUND, **(changes or {})}
        for path in removed:
            del files[path]
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return tidy.check_sources(root)

    def assert_only(self, rule, changes=None, removed=(), at=None):
        found = self.complaints(changes, removed)
        self.assertTrue(found, f"[{rule}] did not fire")
        self.assertEqual({c.rule for c in found}, {rule}, found)
        if at:
            self.assertEqual({c.path for c in found}, {at}, found)

    def test_a_sound_tree_passes(self):
        self.assertEqual(self.complaints(), [])

    def test_a_root_without_sources_is_an_error_and_not_a_pass(self):
        with tempfile.TemporaryDirectory() as root:
            with self.assertRaises(RuntimeError):
                tidy.check_sources(root)

    def test_the_program_exits_1_on_a_broken_rule_and_2_without_sources(self):
        with tempfile.TemporaryDirectory() as root:
            program = [sys.executable, tidy.__file__, "--root", root]
            self.assertEqual(subprocess.run(program, capture_output=True).returncode, 2)
            (Path(root) / "src/domain").mkdir(parents=True)
            (Path(root) / "src/domain/a.h").write_text("int a;\n")
            self.assertEqual(subprocess.run(program, capture_output=True).returncode, 1)


class Direction(PlantedTree):
    def plant(self, path, include):
        folder = path.rsplit("/", 1)[0]
        name = path.rsplit("/", 1)[1]
        listing = SOUND.get(f"{folder}/CMakeLists.txt", "")
        return {path: f"{include}\n", f"{folder}/CMakeLists.txt": f"{listing}more({name})\n"}

    def test_domain_may_not_see_ports(self):
        self.assert_only("direction", self.plant("src/domain/x.cpp", '#include "ports/store.h"'),
                         at="src/domain/x.cpp")

    def test_net_sees_nothing_of_ours(self):
        self.assert_only("direction", self.plant("src/net/x.cpp", '#include "domain/money.h"'))

    def test_checker_sees_domain_only(self):
        self.assertEqual(
            self.complaints(self.plant("src/checker/x.cpp", '#include "domain/money.h"')), [])
        self.assert_only("direction", self.plant("src/checker/x.cpp", '#include "ports/store.h"'))

    def test_one_adapter_may_not_see_another(self):
        self.assert_only("direction", self.plant("src/adapters/webhook/x.cpp",
                                                 '#include "adapters/memory/memory_store.h"'))

    def test_pipeline_api_and_cli_name_no_concrete_adapter(self):
        for folder in ("pipeline", "api", "cli", "gateway"):
            with self.subTest(folder):
                self.assert_only("direction", self.plant(
                    f"src/{folder}/x.cpp", '#include "adapters/memory/memory_store.h"'))

    def test_a_test_beside_the_code_may_use_the_memory_adapter(self):
        include = '#include "adapters/memory/memory_store.h"'
        self.assertEqual(self.complaints(self.plant("src/pipeline/x_test.cpp", include)), [])

    def test_tests_bench_and_simulation_may_name_an_adapter(self):
        for folder in ("tests", "bench", "simulation"):
            with self.subTest(folder):
                self.assertEqual(self.complaints(self.plant(
                    f"{folder}/x.cpp", '#include "adapters/memory/memory_store.h"')), [])

    def test_sources_may_not_see_tests(self):
        self.assert_only("direction", {
            **self.plant("src/domain/x.cpp", '#include "tests/suite.h"'),
            "tests/suite.h": "#pragma once\n"})

    def test_a_room_that_no_rule_knows_is_refused(self):
        self.assert_only("room", self.plant("src/engine/x.cpp", "#include <vector>"))

    def test_an_include_that_names_no_file_is_refused(self):
        self.assert_only("include", self.plant("src/domain/x.cpp", '#include "money.h"'))

    def test_our_own_header_in_angle_brackets_is_refused(self):
        self.assert_only("include", self.plant("src/domain/x.cpp", "#include <domain/money.h>"))

    def test_a_commented_include_is_no_include(self):
        self.assertEqual(self.complaints(
            self.plant("src/domain/x.cpp", '// #include "ports/store.h"')), [])

    def test_a_link_against_the_direction_is_refused(self):
        self.assert_only("direction", {
            "src/domain/CMakeLists.txt":
                SOUND["src/domain/CMakeLists.txt"].replace("fmt::fmt", "penstock_ports")})

    def test_domain_and_pipeline_name_no_outside_world(self):
        faults = ("#include <mutex>", "#include <thread>", "#include <fstream>",
                  "#include <random>", "#include <boost/json.hpp>", "#include <sys/socket.h>",
                  "auto now() { return std::chrono::steady_clock::now(); }")
        for folder in ("domain", "pipeline"):
            for fault in faults:
                with self.subTest(folder=folder, fault=fault):
                    self.assert_only("purity", self.plant(f"src/{folder}/x.cpp", fault))

    def test_a_library_stays_in_its_room(self):
        self.assert_only("library", self.plant("src/api/x.cpp", "#include <rocksdb/db.h>"))
        self.assertEqual(
            self.complaints(self.plant("src/adapters/rocksdb/x.cpp", "#include <rocksdb/db.h>")),
            [])

    def test_the_sixth_unit_that_reaches_beast_is_refused(self):
        def units(count):
            names = [f"u{i}.cpp" for i in range(count)]
            return {"src/net/http.h": "#pragma once\n#include <boost/beast/http.hpp>\n",
                    "src/net/CMakeLists.txt": f"penstock_library(net SOURCES {' '.join(names)})",
                    **{f"src/net/{name}": '#include "net/http.h"\n' for name in names}}
        self.assertEqual(self.complaints(units(5)), [])
        self.assert_only("beast", units(6))


class Shape(PlantedTree):
    def money(self, text):
        return {"src/domain/money.cpp": '#include "domain/money.h"\n' + text}

    def test_a_line_of_101_columns_is_too_wide_and_a_character_is_a_column(self):
        self.assertEqual(self.complaints(self.money("//" + "\u00e9" * 98 + "\n")), [])
        self.assert_only("columns", self.money("//" + "x" * 99 + "\n"))

    def test_a_function_of_71_lines_is_too_long(self):
        self.assertEqual(self.complaints(self.money("int f() {\n" + "g();\n" * 68 + "}\n")), [])
        self.assert_only("function size", self.money("int f() {\n" + "g();\n" * 69 + "}\n"))

    def test_a_file_of_501_lines_is_too_long_and_a_test_of_801(self):
        self.assertEqual(self.complaints(self.money("int a;\n" * 499)), [])
        self.assert_only("file size", self.money("int a;\n" * 500))
        test = "src/domain/money_test.cpp"
        self.assertEqual(self.complaints({test: "int a;\n" * 800}), [])
        self.assert_only("file size", {test: "int a;\n" * 801})

    def test_unfinished_words_are_found(self):
        for word in (MARK, "FIX" + "ME", "for n" + "ow", "place" + "holder"):
            with self.subTest(word):
                self.assert_only("unfinished", self.money(f"// {word}: more\n"))

    def test_a_literal_may_hold_any_word_and_a_comment_behind_it_may_not(self):
        self.assertEqual(self.complaints(self.money(f'auto k = "{MARK}";\n')), [])
        self.assert_only("unfinished", self.money(f'auto k = "x";  // {MARK}\n'))

    def test_a_header_without_a_guard_is_found(self):
        self.assert_only("header", {"src/domain/money.h": "int money();\n"})

    def test_a_source_that_no_cmake_file_names_is_dead(self):
        self.assert_only("dead", {"src/domain/forgotten.cpp": "int a;\n"},
                         at="src/domain/forgotten.cpp")
        self.assert_only("dead", {
            "src/domain/forgotten.cpp": "int a;\n",
            "src/domain/CMakeLists.txt":
                SOUND["src/domain/CMakeLists.txt"] + "# forgotten.cpp\n"})

    def test_a_source_named_in_another_folder_is_still_dead(self):
        self.assert_only("dead", {"src/ports/money.cpp": "int a;\n"}, at="src/ports/money.cpp")

    def test_a_source_named_through_a_variable_lives_when_its_name_stands_there(self):
        listing = SOUND["src/ports/CMakeLists.txt"]
        loop = listing + "foreach(name IN ITEMS one)\n  t(${name}_test.cpp)\nendforeach()\n"
        self.assertEqual(self.complaints({
            "src/ports/CMakeLists.txt": loop, "src/ports/one_test.cpp": "int a;\n"}), [])
        self.assert_only("dead", {
            "src/ports/CMakeLists.txt": loop, "src/ports/one_test.cpp": "int a;\n",
            "src/ports/two_test.cpp": "int a;\n"}, at="src/ports/two_test.cpp")

    def test_a_header_that_nobody_includes_is_dead(self):
        self.assert_only("dead", {
            "src/domain/alone.h": '#pragma once\n#include "domain/alone.h"\n'})

    def test_a_vague_name_is_refused(self):
        self.assert_only("name", {
            "src/domain/string_utils.h": "#pragma once\n",
            "src/domain/money.cpp": '#include "domain/string_utils.h"\n'})


class Documents(PlantedTree):
    def test_an_error_code_without_a_page_is_found(self):
        self.assert_only("error code", removed=["docs/errors/forbidden.md"],
                         at="docs/errors/forbidden.md")

    def test_an_error_page_without_a_code_is_found(self):
        self.assert_only("error code", {"docs/errors/gone.md": "# gone\n"})

    def test_an_error_page_that_names_another_code_is_found(self):
        self.assert_only("error code", {"docs/errors/forbidden.md": "# not-found\n"})

    def test_a_header_that_lists_no_code_is_found(self):
        found = self.complaints({"src/domain/error_code.h": "#pragma once\n"})
        self.assertIn("no error code is listed here", {c.text for c in found})

    def test_codes_are_read_from_a_table_too(self):
        self.assert_only("error code", {
            "src/domain/error_code.h": "#pragma once\nconstexpr Row kRows[] = {\n"
            '  {ErrorCode::not_found, "not-found", 404, "nothing here"},\n'
            '  {ErrorCode::forbidden, "forbidden", 403, "no"},\n'
            '  {ErrorCode::gone, "gone", 410, "was here"}};\n'}, at="docs/errors/gone.md")

    def test_a_metric_without_a_line_is_found(self):
        self.assert_only("metric", {"docs/metrics.md": "nothing\n"}, at="src/main/main.cpp")

    ROUTES = ("constexpr std::array kRoutes{\n"
              '    Route{HttpMethod::get, "/orders/{id}", Access::caller, get_order},\n};\n')

    def plant_routes(self, page):
        listing = "penstock_library(api SOURCES routes.cpp)\n"
        return {"src/api/routes.cpp": self.ROUTES, "src/api/CMakeLists.txt": listing,
                "docs/api.md": page}

    def test_routes_and_their_document_agree(self):
        self.assertEqual(
            self.complaints(self.plant_routes("| `GET /orders/{order_id}?wait` | one |\n")), [])

    def test_a_route_without_a_line_is_found(self):
        self.assert_only("route", self.plant_routes("nothing\n"), at="src/api/routes.cpp")

    def test_a_documented_route_that_is_not_served_is_found(self):
        self.assert_only("route", self.plant_routes(
            "`GET /orders/{id}` and `POST /orders/batch`\n"), at="docs/api.md")

    def test_a_limit_that_nothing_enforces_is_found(self):
        limit = "#pragma once\ninline constexpr std::size_t kMaxMoney = 3;\n"
        header = '#pragma once\n#include "domain/limits.h"\n'
        used = '#include "domain/money.h"\nint money() { return kMaxMoney; }\n'
        self.assertEqual(self.complaints({"src/domain/limits.h": limit,
                                          "src/domain/money.cpp": used,
                                          "src/domain/money.h": header}), [])
        self.assert_only("limit", {"src/domain/limits.h": limit,
                                   "src/domain/money.h": header},
                         at="src/domain/limits.h")

    def test_a_documented_metric_that_nobody_registers_is_found(self):
        self.assert_only("metric", {
            "docs/metrics.md": SOUND["docs/metrics.md"] + "`penstock_lost_total`\n"})

    def test_a_link_that_leads_nowhere_is_found(self):
        self.assert_only("link", {"README.md": "[gone](docs/gone.md)\n"})


class Functions(unittest.TestCase):
    """What the brace matching takes for a function, and how long."""

    def found(self, text):
        return [(f.name, f.lines) for f in cpp_text.functions(text)]

    def test_namespaces_types_and_initialisers_are_no_functions(self):
        self.assertEqual(self.found(
            "namespace a::b {\nstruct alignas(64) S final : T {\n int x{};\n};\n"
            "enum class E : int {\n one,\n};\nconstexpr int kA[] = {\n 1,\n};\n"
            "const Options kB{\n .x = 1,\n};\n}  // namespace\n"), [])

    def test_methods_inside_a_class_are_found(self):
        self.assertEqual(self.found(
            "class C {\n public:\n  int f() const noexcept {\n    return 1;\n  }\n"
            "  explicit operator bool() const { return true; }\n  int g();\n};\n"),
            [("f", 3), ("explicit operator bool", 1)])

    def test_a_constructor_counts_with_its_initialisers(self):
        self.assertEqual(self.found(
            "C::C(int a, B b)\n    : a_{a},\n      b_(std::move(b)),\n      c_{} {\n  go();\n}\n"),
            [("C::C", 6)])

    def test_a_trailing_return_type_a_requires_clause_and_a_default_argument(self):
        self.assertEqual(self.found(
            "template <class T>\nauto f(T t = {}) -> std::expected<T, int> {\n  return t;\n}\n"
            "template <class T>\nvoid g(T t)\n  requires std::integral<T>\n{\n}\n"),
            [("f", 4), ("g", 5)])

    def test_a_test_macro_and_a_lambda_at_namespace_scope(self):
        self.assertEqual(self.found(
            "TEST(Money, adds) {\n  f([] {\n  });\n}\n"
            "const auto kF = [](int a) {\n  return a;\n};\n"),
            [("TEST(Money, adds)", 4), ("?", 3)])

    def test_braces_in_literals_comments_and_directives_do_not_count(self):
        self.assertEqual(self.found(
            '#define M(x) { \\\n  x\nint f() {\n  auto s = "{"; auto c = \'{\'; // {\n'
            '  auto r = R"(}}} " {)"; int n = 65\'536; /* } */\n}\nint g() { return 1; }\n'),
            [("f", 4), ("g", 1)])


class Symbols(unittest.TestCase):
    def test_each_family_of_banned_symbols_is_recognised(self):
        for symbol in ("std::chrono::_V2::steady_clock::now()", "clock_gettime", "time",
                       "pthread_mutex_lock@GLIBC_2.2.5", "std::thread::_State::~_State()",
                       "std::condition_variable::wait(std::unique_lock<std::mutex>&)", "socket",
                       "epoll_wait", "fopen", "open64", "std::random_device::_M_getval()", "rand",
                       "std::basic_ofstream<char, std::char_traits<char> >::close()",
                       "getenv", "boost::json::parse(boost::core::string_view)",
                       "boost::json::value::value[abi:cxx11](int)",
                       "rocksdb::DB::Open(rocksdb::Options const&)"):
            with self.subTest(symbol):
                self.assertIsNotNone(symbols.banned(symbol))

    def test_our_own_names_are_free(self):
        for symbol in ("penstock::pipeline::Pipeline::poll(penstock::domain::Instant)",
                       "penstock::ports::Clock::now()", "operator new(unsigned long)", "memcpy",
                       "penstock::domain::time(int)", "__cxa_guard_acquire", "__tsan_read8",
                       "std::__throw_length_error(char const*)", "fprintf", "stderr"):
            with self.subTest(symbol):
                self.assertIsNone(symbols.banned(symbol))

    def archive_of(self, code):
        folder = Path(tempfile.mkdtemp(prefix="tidy-"))
        self.addCleanup(shutil.rmtree, folder)
        (folder / "x.cpp").write_text(code)
        subprocess.run(["c++", "-std=c++20", "-c", "x.cpp", "-o", "x.o"], cwd=folder, check=True)
        subprocess.run(["ar", "rc", "libx.a", "x.o"], cwd=folder, check=True)
        return str(folder / "libx.a")

    def test_a_compiled_clock_is_found_and_pure_code_is_not(self):
        clock = "#include <chrono>\nauto f() { return std::chrono::system_clock::now(); }\n"
        self.assertEqual(len(list(symbols.check_archive(self.archive_of(clock)))), 1)
        pure = "#include <vector>\nint f(std::vector<int>& v) { v.push_back(1); return v[0]; }\n"
        self.assertEqual(list(symbols.check_archive(self.archive_of(pure))), [])

    def test_an_archive_that_cannot_be_read_is_an_error_and_not_a_pass(self):
        with self.assertRaises(RuntimeError):
            list(symbols.check_archive("no-such-archive.a"))


if __name__ == "__main__":
    unittest.main()
