"""The binary is built so that a memory error is hard to use: what the linker wrote into it, and
what each of our files was compiled with.

Intel's CET (IBT, SHSTK) works only where every object of the binary is marked for it. The start
files of Debian 12's C library and its static RocksDB are not, so that the binary cannot be; our own
objects are compiled for it.
"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

binary = sys.argv[1]
build = Path(sys.argv[2])

FLAGS = ("-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection",
         "-fPI", "-D_GLIBCXX_ASSERTIONS")


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, binary], check=True, capture_output=True,
                          text=True).stdout


class Hardening(unittest.TestCase):

    def test_the_binary_is_position_independent(self):
        self.assertRegex(readelf("-h"), r"Type: +DYN \(Position-Independent Executable file\)")
        self.assertRegex(readelf("-d"), r"\(FLAGS_1\).*\bPIE\b")

    def test_all_symbols_are_bound_at_the_start_and_read_only_then(self):
        self.assertIn("GNU_RELRO", readelf("-l"))
        self.assertRegex(readelf("-d"), r"\(FLAGS\).*\bBIND_NOW\b")

    def test_no_segment_is_writable_and_executable(self):
        stack = [line for line in readelf("-l").splitlines() if "GNU_STACK" in line]
        self.assertEqual([line.split()[-2] for line in stack], ["RW"])
        loads = [line for line in readelf("-l").splitlines() if line.lstrip().startswith("LOAD")]
        self.assertTrue(loads)
        for line in loads:
            self.assertNotIn("RWE", line)

    def test_no_library_is_looked_for_in_a_given_folder(self):
        self.assertNotRegex(readelf("-d"), r"\((RPATH|RUNPATH)\)")

    def test_stacks_and_copies_are_checked(self):
        symbols = readelf("--dyn-syms")
        self.assertIn("__stack_chk_fail", symbols)
        self.assertRegex(symbols, r"__(memcpy|snprintf|vsnprintf)_chk")

    def test_each_of_our_files_is_compiled_with_every_flag(self):
        commands = json.loads((build / "compile_commands.json").read_text())
        ours = [c for c in commands if "/src/" in c["file"] and "/_deps/" not in c["file"]]
        self.assertGreater(len(ours), 100)
        for command in ours:
            missing = [flag for flag in FLAGS if flag not in command["command"]]
            self.assertEqual(missing, [], command["file"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
