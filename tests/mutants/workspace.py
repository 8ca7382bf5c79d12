"""A private copy of the tree and its build, in which mutations are planted one at a time."""

import hashlib
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

MAX_MEMORY_BYTES = 8 << 30  # of a detector: a mutant that only allocates ends by itself
KEPT_OUTPUT_BYTES = 200_000


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (None: it was stopped after its time), output, seconds."""
    code: object
    output: str
    seconds: float


def run(command, *, timeout, cwd, env=None, bounded=False, kept=None):
    """Runs a command in a session of its own, so that everything it started ends with it."""
    def bound():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if bounded:
            resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True, preexec_fn=bound) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if code is None:
            output, _ = process.communicate()
    text = output.decode(errors="replace")[-(kept or KEPT_OUTPUT_BYTES):]
    return Ended(code, text, time.monotonic() - begun)


def _working_tree(root):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root,
                           check=True, capture_output=True).stdout.decode().split("\0")
    for name in sorted(set(names) - {""}):
        path = root / name
        if path.is_file():
            yield name, path.read_bytes(), path.stat().st_mode & 0o777


def _commit(root, revision):
    archive = subprocess.run(["git", "archive", "--format=tar", revision], cwd=root, check=True,
                             capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if member.isfile():
                yield member.name, files.extractfile(member).read(), member.mode & 0o777


class Workspace:
    """`folder` holds the copy (`tree`), its build (`build`) and a folder for what tests leave."""

    def __init__(self, root, folder, jobs):
        self.root = Path(root)
        self.folder = Path(folder)
        self.tree = self.folder / "tree"
        self.build = self.folder / "build"
        # Thousands of synced writes: in memory where there is such a place. What a test leaves
        # there is emptied before each.
        memory = Path("/dev/shm")
        self.scratch = memory / f"penstock-mutants-{os.getpid()}" \
            if os.access(memory, os.W_OK) else self.folder / "scratch"
        self.jobs = jobs
        self.planted = None
        self._texts = {}
        self._closures = {}
        self._targets = {}

    def synchronize(self, revision=None):
        """Makes the copy that of the working tree, or of a commit; writes only what differs."""
        for folder in (self.tree, self.build, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        source = _commit(self.root, revision) if revision else _working_tree(self.root)
        wanted = set()
        for name, content, mode in source:
            path = self.tree / name
            wanted.add(path)
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                path.chmod(mode)
        for path in list(self.tree.rglob("*")):
            if path.is_file() and path not in wanted:
                path.unlink()

    def configure(self):
        """Fast to compile above all: one level of optimization, the fastest linker there is."""
        linker = next((f"-fuse-ld={name}" for name in ("mold", "lld") if shutil.which(name)), "")
        command = ["cmake", "-S", str(self.tree), "-B", str(self.build), "-G", "Ninja",
                   "-DCMAKE_BUILD_TYPE=Mutants", "-DCMAKE_CXX_COMPILER=g++",
                   "-DCMAKE_CXX_FLAGS=-O1", f"-DCMAKE_EXE_LINKER_FLAGS={linker}"]
        ended = run(command, timeout=600, cwd=self.folder)
        if ended.code != 0:
            raise SystemExit(f"the copy does not configure:\n{ended.output}")

    def compile(self, target):
        return run(["ninja", "-C", str(self.build), "-j", str(self.jobs),
                    target], timeout=3600, cwd=self.folder)

    def text(self, path):
        """A file of the copy as it is without a mutation."""
        if path not in self._texts:
            file = self.tree / path
            self._texts[path] = file.read_text() if file.is_file() else ""
        return self._texts[path]

    def plant(self, mutation):
        """Plants a mutation in place of the one before; none restores the copy."""
        changed = mutation.applied_to(self.text(mutation.path)) if mutation else None
        if self.planted and (not mutation or mutation.path != self.planted):
            (self.tree / self.planted).write_text(self.text(self.planted))
            self.planted = None
        if mutation:
            file = self.tree / mutation.path
            if file.read_text() != changed:
                file.write_text(changed)
            self.planted = mutation.path

    def targets(self):
        """What ninja can build, by the last part of its name."""
        if not self._targets:
            self._targets = self._read_targets()
        return self._targets

    def _read_targets(self):
        listed = run(["ninja", "-C", str(self.build), "-t", "targets", "all"], timeout=60,
                     cwd=self.folder, kept=1 << 26).output
        return {line.split(":")[0].rsplit("/", 1)[-1]: line.split(":")[0]
                for line in listed.splitlines() if "LINKER" in line}

    def closure(self, target):
        """The files of the tree that a target is built from, headers included."""
        if target not in self._closures:
            dependencies = self._dependencies()
            inputs = run(["ninja", "-C", str(self.build), "-t", "inputs", target], timeout=60,
                         cwd=self.folder, kept=1 << 26)
            if inputs.code != 0:
                raise SystemExit(f"ninja knows no inputs of {target}: {inputs.output[-500:]}")
            found = set()
            for line in inputs.output.splitlines():
                found |= dependencies.get(line, set())
                found |= self._in_tree(line)
            self._closures[target] = frozenset(found)
        return self._closures[target]

    def digest(self, paths):
        """Of the contents of files of the tree, the mutation apart."""
        digest = hashlib.sha256()
        for path in sorted(paths):
            digest.update(f"{path}\0{self.text(path)}\0".encode())
        return digest.hexdigest()[:16]

    def environment(self):
        """Tests leave what they leave in a folder of ours."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        return dict(os.environ, TMPDIR=str(self.scratch), PYTHONDONTWRITEBYTECODE="1")

    def close(self):
        """The copy is without a mutation again, and what tests left is gone."""
        self.plant(None)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _in_tree(self, name):
        path = Path(os.path.normpath(self.build / name))
        return {str(path.relative_to(self.tree))} if path.is_relative_to(self.tree) else set()

    def _dependencies(self):
        listed = run(["ninja", "-C", str(self.build), "-t", "deps"], timeout=120,
                     cwd=self.folder, kept=1 << 28).output
        found, files = {}, set()
        for line in listed.splitlines():
            head = re.match(r"(\S+): #deps", line)
            if head:
                files = found.setdefault(head.group(1), set())
            elif line.startswith("    "):
                files |= self._in_tree(line.strip())
        return found
