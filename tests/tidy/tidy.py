#!/usr/bin/env python3
"""The house rules as a test.

    tidy.py [--root DIR]          rules on the sources: direction, sizes, dead files, documents
    tidy.py --archive LIB.a ...   rules on the compiled libraries of domain and pipeline

Prints one line a broken rule, `path:line: [rule] text`, and exits 1 if there is any.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import documents
import rooms
import shape
import symbols
from tree import Tree


def check_sources(root):
    """All complaints about the tree at `root`, sorted by place."""
    tree = Tree(root)
    if not any(path.startswith("src/") for path in tree.cpp_files):
        raise RuntimeError(f"{root} holds no src/ with C++ files")
    checks = (*rooms.CHECKS, *shape.CHECKS, *documents.CHECKS)
    return sorted({complaint for check in checks for complaint in check(tree)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=Path(__file__).resolve().parents[2])
    parser.add_argument("--archive", action="append", default=[])
    parser.add_argument("--nm", default="nm")
    options = parser.parse_args()
    try:
        if options.archive:
            complaints = [complaint for archive in options.archive
                          for complaint in symbols.check_archive(archive, options.nm)]
        else:
            complaints = check_sources(options.root)
    except RuntimeError as error:
        print(f"tidy: {error}", file=sys.stderr)
        return 2
    for complaint in complaints:
        print(complaint)
    print(f"tidy: {len(complaints)} broken rules" if complaints else "tidy: all in order")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
