#!/usr/bin/env python3
"""The link check itself: an undeclared dependency must fail to link, a declared one must not."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

HERE = Path(__file__).resolve().parent
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(planted LANGUAGES CXX)
enable_testing()
add_subdirectory(src)
include({here}/linked_alone.cmake)
penstock_linked_alone_folder(${{CMAKE_CURRENT_SOURCE_DIR}}/src {here}/linked_alone_main.cpp)
"""
LIBRARIES = """
add_library(penstock_low STATIC low.cpp)
add_library(penstock_high STATIC high.cpp)
"""


class LinkedAlone(unittest.TestCase):
    def build(self, declaration):
        """Builds the planted project; returns what linking `high` alone said, and its outcome."""
        root = Path(tempfile.mkdtemp(prefix="linked-alone-"))
        self.addCleanup(shutil.rmtree, root)
        (root / "src").mkdir()
        (root / "CMakeLists.txt").write_text(PROJECT.format(here=HERE))
        (root / "src/CMakeLists.txt").write_text(LIBRARIES + declaration)
        (root / "src/low.cpp").write_text("int low() { return 1; }\n")
        (root / "src/high.cpp").write_text("int low();\nint high() { return low(); }\n")
        subprocess.run(["cmake", "-S", root, "-B", root / "build", "-G", "Ninja"],
                       check=True, capture_output=True)
        return subprocess.run(["cmake", "--build", root / "build", "--target", "linked_alone_high"],
                              capture_output=True, text=True)

    def test_a_declared_dependency_links(self):
        done = self.build("target_link_libraries(penstock_high PUBLIC penstock_low)\n")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_an_undeclared_dependency_does_not_link(self):
        done = self.build("")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("undefined reference to `low()'", done.stdout)


if __name__ == "__main__":
    unittest.main()
