"""The source tree as the checks see it: files, rooms, resolved includes, complaints."""

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import cpp_text

CODE_FOLDERS = ("src", "simulation", "tests", "bench")
_SKIPPED = {"build", "node_modules", "__pycache__", ".git", ".cache", ".terraform"}


@dataclass(frozen=True, order=True)
class Complaint:
    """One broken rule at one place."""
    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.text}"


def is_test(path):
    """A test program's source: by its name, in a folder `testing`, or anywhere under tests/."""
    return (path.startswith("tests/") or "/testing/" in path
            or bool(re.search(r"_(test|fuzzer)\.(cpp|h)$", path)))


def room(path):
    """The room a file lives in: `domain`, `adapters/rocksdb`, `tests`..."""
    parts = path.split("/")
    if parts[0] != "src":
        return parts[0]
    if len(parts) > 3 and parts[1] == "adapters":
        return f"adapters/{parts[2]}"
    return parts[1] if len(parts) > 2 else "src"


class Tree:
    """The files below a root. Reads each once; paths are relative to the root, with slashes."""

    def __init__(self, root):
        self.root = Path(root)

    @functools.cached_property
    def files(self):
        found = []
        for folder, names, files in os.walk(self.root):
            names[:] = sorted(n for n in names if n not in _SKIPPED)
            found += [os.path.relpath(os.path.join(folder, f), self.root) for f in sorted(files)]
        return found

    def below(self, folders, suffixes):
        """Files in the named top folders that end in one of the suffixes."""
        return [f for f in self.files
                if f.split("/")[0] in folders and f.endswith(tuple(suffixes))]

    @functools.cached_property
    def cpp_files(self):
        return self.below(CODE_FOLDERS, (".cpp", ".h"))

    @functools.cache
    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def exists(self, path):
        return (self.root / path).is_file()

    def resolve(self, spelled):
        """The project's file that an include names, or None: `src/` and the root are searched."""
        for candidate in (f"src/{spelled}", spelled):
            if self.exists(candidate):
                return os.path.normpath(candidate)
        return None

    @functools.cache
    def includes(self, path):
        return list(cpp_text.includes(self.text(path)))

    @functools.cache
    def closure(self, path):
        """Every spelled include reachable from a file, through the project's own headers."""
        seen, waiting, spelled = {path}, [path], set()
        while waiting:
            for _, name, _ in self.includes(waiting.pop()):
                spelled.add(name)
                target = self.resolve(name)
                if target and target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return frozenset(spelled)
