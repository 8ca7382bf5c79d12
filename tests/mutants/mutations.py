"""A mutation: one planted bug, as the few lines of one file that it replaces."""

import difflib
import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(ValueError):
    """The lines that a mutation replaces are not in the file."""


@dataclass(frozen=True)
class Mutation:
    """`old` and `new` are whole lines, the unchanged ones around them included."""
    name: str
    note: str
    path: str
    line: int  # where `old` begins, 1-based; only a hint
    old: tuple
    new: tuple

    @property
    def fingerprint(self):
        """Of what is planted, wherever in the file it has moved to."""
        text = "\0".join((self.path, *self.old, "->", *self.new))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def applied_to(self, text):
        """The file with the bug planted: at the one place that matches, or the nearest of them."""
        lines = text.splitlines(keepends=True)
        size = len(self.old)
        places = [at for at in range(len(lines) - size + 1)
                  if tuple(lines[at:at + size]) == self.old]
        if not places:
            raise DoesNotApply(f"{self.name}: {self.path} has no such lines any more")
        at = min(places, key=lambda place: abs(place + 1 - self.line))
        return "".join(lines[:at] + list(self.new) + lines[at + size:])


_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


def read_patch(path):
    """A .patch file: one line `# what it plants (invariant)`, then a diff of one hunk."""
    lines = path.read_text().splitlines(keepends=True)
    note = lines[0].lstrip("# ").strip()
    target, first, old, new = None, 0, [], []
    for line in lines[1:]:
        hunk = _HUNK.match(line)
        if line.startswith("+++ "):
            target = line[4:].strip().removeprefix("b/")
        elif hunk:
            if first:
                raise ValueError(f"{path.name}: more than one hunk")
            first = int(hunk.group(1))
        elif first and line[0] in " -+":
            if line[0] != "+":
                old.append(line[1:])
            if line[0] != "-":
                new.append(line[1:])
    if not lines[0].startswith("# ") or not target or not first or old == new:
        raise ValueError(f"{path.name}: not a note and a diff of one hunk")
    return Mutation(path.stem, note, target, first, tuple(old), tuple(new))


def load_patches(folder):
    """All patches of a folder, by name."""
    return [read_patch(path) for path in sorted(Path(folder).glob("*.patch"))]


def between(name, note, path, before, after):
    """The mutation that makes `after` of `before`, with one line around the change."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    blocks = [b for b in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
              if b[0] != "equal"]
    first, last = max(blocks[0][1] - 1, 0), min(blocks[-1][2] + 1, len(old))
    new_last = len(new) - (len(old) - last)
    return Mutation(name, note, path, first + 1, tuple(old[first:last]),
                    tuple(new[first:new_last]))


def load_planted(folder, tree):
    """The bugs of FOLDER/*.toml, addressed by text and not by place: each [[bug]] has `name`,
    `plants` (what it breaks), `in` (a file, or a folder whose sources are searched), `find` and
    `replace`. Any white space in `find` stands for any; it must be found exactly once. One that
    moves to another file of its folder, or is formatted anew, still applies. DoesNotApply
    otherwise."""
    found = []
    for path in sorted(Path(folder).glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["bug"]:
            found.append(_planted(entry, Path(tree)))
    names = [mutation.name for mutation in found]
    if len(set(names)) != len(names):
        raise ValueError(f"{folder}: two bugs of one name")
    return found


def _planted(entry, tree):
    pattern = re.compile(r"\s+".join(map(re.escape, entry["find"].split())))
    place = tree / entry["in"]
    files = [place] if place.is_file() else [
        file for file in sorted(place.rglob("*"))
        if file.suffix in (".cpp", ".h") and not file.stem.endswith("_test")]
    hits = [(file, text, hit) for file in files for text in [file.read_text()]
            for hit in pattern.finditer(text)]
    if len(hits) != 1:
        raise DoesNotApply(f"{entry['name']}: found {len(hits)} times in {entry['in']}, not once")
    file, text, hit = hits[0]
    after = text[:hit.start()] + entry["replace"] + text[hit.end():]
    return between(entry["name"], entry["plants"], str(file.relative_to(tree)), text, after)
