"""Sizes, unfinished words, and files that nobody uses."""

import fnmatch
import posixpath
import re

import cpp_text
from tree import CODE_FOLDERS, Complaint, is_test

MAX_COLUMNS = 100
MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 500
MAX_TEST_FILE_LINES = 800

_SIZED = (".cpp", ".h", ".py", ".cmake", "CMakeLists.txt")
_TEXT = (".cpp", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt", ".js", ".mjs", ".css", ".html",
         ".sql", ".tf", ".toml", ".yml", ".yaml", ".md", ".service", "Dockerfile", "Makefile")
# Written in pieces, so that this file does not complain about itself.
_MARKS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
                    r"|\b(?i:not imple" r"mented|for n" r"ow)\b")
_EMPTY_PROMISE = re.compile(r"\bplace" r"holder\b", re.IGNORECASE)


def _lines(tree, path):
    return tree.text(path).split("\n")


def line_length(tree):
    """No line is wider than the page; a character is a column."""
    for path in tree.below((*CODE_FOLDERS, "cmake", "CMakeLists.txt", "scripts"), _SIZED):
        for number, line in enumerate(_lines(tree, path), 1):
            if len(line) > MAX_COLUMNS:
                yield Complaint(path, number, "columns", f"{len(line)} > {MAX_COLUMNS}")


def file_length(tree):
    """A file holds one concept; tests may be longer, for their tables."""
    for path in tree.below((*CODE_FOLDERS, "cmake", "scripts"), _SIZED):
        lines = tree.text(path).count("\n")
        limit = MAX_TEST_FILE_LINES if is_test(path) else MAX_FILE_LINES
        if lines > limit:
            yield Complaint(path, limit + 1, "file size", f"{lines} lines > {limit}")


def function_length(tree):
    """A function fits on a screen and a half."""
    for path in tree.cpp_files:
        for function in cpp_text.functions(tree.text(path)):
            if function.lines > MAX_FUNCTION_LINES:
                yield Complaint(path, function.first_line, "function size",
                                f"{function.name}: {function.lines} lines > {MAX_FUNCTION_LINES}")


def unfinished(tree):
    """What is committed is finished. Literals may say anything: a currency, an HTTP reason."""
    folders = (*CODE_FOLDERS, "cmake", "scripts", "deploy", "web", "docs", "Makefile")
    for path in tree.below(folders, _TEXT):
        text = tree.text(path)
        if path.endswith((".cpp", ".h")):
            text = cpp_text.without_literals(text)
        for number, line in enumerate(text.split("\n"), 1):
            match = _MARKS.search(line)
            if not match and not path.startswith("web/"):  # HTML inputs have an attribute like it
                match = _EMPTY_PROMISE.search(line)
            if match:
                yield Complaint(path, number, "unfinished", match[0])


def pragma_once(tree):
    """Every header guards itself the same way."""
    for path in tree.cpp_files:
        if path.endswith(".h") and "#pragma once" not in tree.text(path):
            yield Complaint(path, 1, "header", "no #pragma once")


_SOURCE_WORD = re.compile(r"[^\s()\"]+\.(?:cpp|h)\b")
_HERE = re.compile(r"^\$\{CMAKE_CURRENT_(?:SOURCE|LIST)_DIR\}/")
_TOP = re.compile(r"^\$\{(?:PROJECT|CMAKE)_SOURCE_DIR\}/")


def _named_sources(tree):
    """(pattern, CMake text) for each source word in a CMake file, relative to the root."""
    for listing in tree.files:
        if not listing.endswith(("CMakeLists.txt", ".cmake")):
            continue
        text = re.sub(r"#.*", "", tree.text(listing))
        for word in _SOURCE_WORD.findall(text):
            if _TOP.match(word):
                pattern = _TOP.sub("", word)
            else:
                pattern = posixpath.join(posixpath.dirname(listing), _HERE.sub("", word))
            yield posixpath.normpath(pattern), text


def dead_sources(tree):
    """Every .cpp is built by somebody; `${name}_test.cpp` counts where its name stands beside."""
    exact, patterns = set(), []
    for pattern, text in _named_sources(tree):
        if "${" in pattern:
            patterns.append((pattern, set(re.findall(r"[\w-]+", text))))
        else:
            exact.add(pattern)
    for path in tree.cpp_files:
        if not path.endswith(".cpp") or path in exact:
            continue
        for pattern, words in patterns:
            if not fnmatch.fnmatch(path, re.sub(r"\$\{\w+\}", "*", pattern)):
                continue
            parts = re.split(r"\$\{\w+\}", pattern)
            stem = path[len(parts[0]):len(path) - len(parts[-1])]
            if stem in words:
                break
        else:
            yield Complaint(path, 1, "dead", "no CMakeLists.txt names it")


def dead_headers(tree):
    """Every header is included by another file."""
    used = set()
    for path in tree.cpp_files:
        used |= {tree.resolve(name) for _, name, _ in tree.includes(path)} - {path}
    for path in tree.cpp_files:
        if path.endswith(".h") and path not in used:
            yield Complaint(path, 1, "dead", "nobody includes it")


CHECKS = (line_length, file_length, function_length, unfinished, pragma_once, dead_sources,
          dead_headers)
