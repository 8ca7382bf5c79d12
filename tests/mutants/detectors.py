"""What may catch a mutant: test programs, the simulator, whole-program tests. Cheapest first."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from workspace import run

LEAST_TIMEOUT_S = 30
SLOWER = 10  # times what the tree without a mutation takes, then a mutant counts as hanging


@dataclass(frozen=True)
class Verdict:
    """`by` names the test or the finding; `seeds` says how many the simulator needed."""
    caught: bool
    by: str = ""
    seeds: int = 0
    seconds: float = 0.0


class Detector:
    """`target` is what it is built from, `folders` where its mutants lie (empty: anywhere)."""
    kind = ""

    def __init__(self, name, target, folders=()):
        self.name = name
        self.target = target
        self.folders = folders
        self.baseline_s = None
        self._identity = ""

    def sees(self, workspace, path):
        """True where a change of `path` is built into what it runs."""
        if self.folders and not path.startswith(self.folders):
            return False
        return path in workspace.closure(self.target)

    def identity(self, workspace):
        """Changes whenever its verdict may."""
        if not self._identity:
            self._identity = f"{self.name}:{workspace.digest(self.sources(workspace))}"
        return self._identity

    def sources(self, workspace):
        return workspace.closure(self.target)

    def timeout_s(self):
        return max(LEAST_TIMEOUT_S, SLOWER * (self.baseline_s or 0))

    def learn(self, workspace):
        """Runs on the tree without a mutation: it has to pass. Says why it does not, else None."""
        self.baseline_s = 3600 / SLOWER
        verdict = self.look(workspace)
        self.baseline_s = verdict.seconds
        return verdict.by if verdict.caught else None

    def _program(self, workspace):
        return str(workspace.build / workspace.targets()[self.target])


class TestProgram(Detector):
    """A GoogleTest program; the first test that fails, or that runs when it dies, is named."""
    kind = "test"

    def look(self, workspace):
        ended = run([self._program(workspace), "--gtest_fail_fast"],
                    timeout=self.timeout_s(), cwd=workspace.scratch,
                    env=workspace.environment(), bounded=True)
        if ended.code == 0:
            return Verdict(False, seconds=ended.seconds)
        failed = re.findall(r"^\[  FAILED  \] ([\w/.]+)", ended.output, re.MULTILINE)
        begun = re.findall(r"^\[ RUN      \] ([\w/.]+)", ended.output, re.MULTILINE)
        test = failed[0] if failed else begun[-1] if begun else "before its first test"
        how = " (hangs)" if ended.code is None else "" if failed else " (dies)"
        return Verdict(True, f"{self.name}: {test}{how}", 0, ended.seconds)


class Simulation(Detector):
    """What `penstock simulate` does: seeds in order, a few and then more, until one fails."""
    kind = "simulator"
    STAGES = (1, 10, 50, 200, 1000, 5000, 20_000, 100_000)
    FINDINGS = (20, 21, 22)  # exit codes: a run broke, an invariant is broken, no rest

    def __init__(self, world, seeds):
        super().__init__(f"simulate {world}", "mutants_simulator",
                         ("src/domain/", "src/pipeline/", "src/adapters/memory/",
                          "src/adapters/postgres/"))
        self.world = world
        self.seeds = seeds

    def identity(self, workspace):
        return f"{super().identity(workspace)}:{self.seeds}"

    def look(self, workspace):
        done, seconds = 0, 0.0
        for stage in (*(s for s in self.STAGES if s < self.seeds), self.seeds):
            ended = run([self._program(workspace), self.world, str(done + 1), str(stage - done)],
                        timeout=self.timeout_s(), cwd=workspace.scratch,
                        env=workspace.environment(), bounded=True)
            seconds += ended.seconds
            if ended.code is None:
                return Verdict(True, f"{self.name}: hangs", stage, seconds)
            if ended.code in self.FINDINGS:
                failing = re.findall(r"^seed (\d+): (.*)$", ended.output, re.MULTILINE)
                seed, finding = min((int(number), text) for number, text in failing)
                return Verdict(True, f"{self.name}: {finding[:100]}", seed, seconds)
            if ended.code != 0:
                raise SystemExit(f"{self.name} ends with {ended.code}:\n{ended.output[-2000:]}")
            done = stage
        return Verdict(False, seeds=self.seeds, seconds=seconds)


class ProgramTest(Detector):
    """A script of tests/program, or of `place` beside it, on the real program."""
    kind = "program"

    def __init__(self, script, *arguments, folders, place="program"):
        name = script if place == "program" else f"{place}/{script}"
        super().__init__(" ".join(("program", name, *arguments)), "penstock", folders)
        self.script = f"tests/{place}/{script}.py"
        self.places = {"program", place}
        self.arguments = arguments

    def sources(self, workspace):
        scripts = [p for place in self.places
                   for p in (workspace.tree / "tests" / place).glob("*.py")]
        return super().sources(workspace) | {str(p.relative_to(workspace.tree)) for p in scripts}

    def look(self, workspace):
        command = [sys.executable, str(workspace.tree / self.script),
                   self._program(workspace), *self.arguments]
        ended = run(command, timeout=self.timeout_s(), cwd=workspace.scratch,
                    env=workspace.environment())
        if ended.code == 0:
            return Verdict(False, seconds=ended.seconds)
        lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
        how = "hangs" if ended.code is None else lines[-1][:80] if lines else "fails"
        return Verdict(True, f"{self.name}: {how}", 0, ended.seconds)


_TESTS = ("domain_test", "checker_test", "memory_store_test", "memory_contract_test",
          "pipeline_test", "webhook_test", "gateway_http_test", "system_test",
          "rocksdb_store_test", "rocksdb_contract_test", "gateway_test", "net_test",
          "net_http_test", "api_test", "cli_test", "main_test", "command_line_test")
# They start a server of their own: asked of what they alone are about.
_SERVER_TESTS = ("postgres_contract_test", "postgres_store_test")


def all_detectors(workspace, seeds):
    """Those that the tree has, in the order in which they are asked."""
    targets = workspace.targets()
    found = [TestProgram(name, name) for name in _TESTS if name in targets]
    found += [TestProgram(name, name, ("src/adapters/postgres/", "deploy/postgres/"))
              for name in _SERVER_TESTS if name in targets]
    found += [Simulation(world, seeds) for world in ("single", "distributed")]
    core = ("src/domain/", "src/pipeline/", "src/adapters/rocksdb/")
    doors = ("src/api/", "src/net/", "src/main/")
    found += [
        ProgramTest("happy", folders=(*core, *doors, "src/adapters/", "src/checker/")),
        ProgramTest("bad_input", folders=doors),
        ProgramTest("gateway_process", folders=("src/adapters/gateway_http/", "src/gateway/")),
        ProgramTest("webhooks", folders=("src/adapters/webhook/", "src/pipeline/")),
        ProgramTest("operate", folders=("src/adapters/system/", "src/cli/", *core, *doors)),
        ProgramTest("cancel", folders=core),
        ProgramTest("limits", folders=(*core, *doors)),
        ProgramTest("shutdown", folders=("src/adapters/system/", "src/pipeline/", *doors)),
        ProgramTest("demo_runs", folders=("src/cli/", "src/main/")),
        ProgramTest("crash", "--restarts", "4", "--workers", "4", "--seed", "7", folders=core),
        ProgramTest("move", "--restarts", "2", "--workers", "3", "--seed", "7", place="postgres",
                    folders=("src/main/store_copy", "src/adapters/postgres/copy_",
                             "src/adapters/rocksdb/copy_source")),
    ]
    return [d for d in found if d.kind != "program" or Path(workspace.tree, d.script).is_file()]
