"""Runs mutations against detectors, remembers every verdict, and sums up."""

import json
import re
import time
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from detectors import Verdict

_SIMULATED = ("src/domain/", "src/pipeline/", "src/adapters/memory/",
              "src/adapters/postgres/batch_split", "src/adapters/postgres/held_orders",
              "src/adapters/postgres/part_outcomes")


@dataclass(frozen=True)
class Outcome:
    """`state`: caught, survived, equivalent (proven), or broken (it does not apply or compile)."""
    mutation: object
    state: str
    by: str = ""
    seeds: int = 0
    seconds: float = 0.0


class Memory:
    """Verdicts by what was planted, who looked, and the contents of all that it is built from."""

    def __init__(self, file):
        self.file = Path(file)
        self.verdicts = json.loads(self.file.read_text()) if self.file.is_file() else {}

    def find(self, key):
        found = self.verdicts.get(key)
        return Verdict(**found) if found else None

    def keep(self, key, verdict):
        self.verdicts[key] = asdict(verdict)
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(self.verdicts, indent=0))
        draft.replace(self.file)


def read_equivalents(file):
    """{name or fingerprint: proof} of the mutants that change nothing that can be observed."""
    file = Path(file)
    if not file.is_file():
        return {}
    found = tomllib.loads(file.read_text())
    for name, entry in found.items():
        if len(entry.get("proof", "")) < 40:
            raise SystemExit(f"{file}: {name} has no proof")
    return {name: entry["proof"] for name, entry in found.items()}


class NotReady(Exception):
    """A detector does not build or does not pass on the tree as it is."""


class Campaign:
    def __init__(self, workspace, detectors, memory, equivalents, say):
        self.workspace = workspace
        self.detectors = detectors
        self.memory = memory
        self.equivalents = equivalents
        self.say = say
        self._ready = set()

    def _prepare(self, detector):
        """Builds and runs a detector without a mutation, when it is asked for the first time."""
        if detector.name in self._ready:
            return
        self.workspace.plant(None)
        ended = self.workspace.compile(detector.target)
        if ended.code != 0:
            raise NotReady(f"{detector.target} does not build:\n{ended.output[-3000:]}")
        key = f"baseline|{detector.identity(self.workspace)}"
        known = self.memory.find(key)
        if known:
            detector.baseline_s = known.seconds
        else:
            complaint = detector.learn(self.workspace)
            if complaint:
                raise NotReady(f"{detector.name} fails without a mutation: {complaint}")
            self.memory.keep(key, Verdict(False, seconds=detector.baseline_s))
        self._ready.add(detector.name)

    def run(self, mutations):
        outcomes = []
        # File by file, so that little is built anew; what needs the fewest detectors comes first.
        def place(mutation):
            folder = next((i for i, f in enumerate(_SIMULATED) if mutation.path.startswith(f)), 9)
            return folder, mutation.path, mutation.line, mutation.name
        ordered = sorted(mutations, key=place)
        for number, mutation in enumerate(ordered, 1):
            outcome = self._judge(mutation)
            outcomes.append(outcome)
            seeds = f", {outcome.seeds} seeds" if outcome.seeds else ""
            self.say(f"{number}/{len(ordered)} {outcome.state:10} {mutation.name}"
                     f"  {outcome.by} [{outcome.seconds:.1f} s{seeds}]")
        self.workspace.plant(None)
        return outcomes

    def _judge(self, mutation):
        seconds, seeds = 0.0, 0
        try:
            mutation.applied_to(self.workspace.text(mutation.path))
        except ValueError as problem:
            return Outcome(mutation, "broken", str(problem))
        for detector in self.detectors:
            self._prepare(detector)
            if not detector.sees(self.workspace, mutation.path):
                continue
            key = f"{mutation.fingerprint}|{detector.identity(self.workspace)}"
            verdict = self.memory.find(key)
            if verdict is None:
                self.workspace.plant(mutation)
                begun = time.monotonic()
                ended = self.workspace.compile(detector.target)
                if ended.code != 0:
                    line = next((x for x in ended.output.splitlines() if "error" in x), "")
                    return Outcome(mutation, "broken", f"does not compile: {line[-120:]}")
                verdict = detector.look(self.workspace)
                verdict = replace(verdict, seconds=time.monotonic() - begun)
                self.memory.keep(key, verdict)
            seconds += verdict.seconds
            seeds = max(seeds, verdict.seeds)
            if verdict.caught:
                return Outcome(mutation, "caught", verdict.by, verdict.seeds, seconds)
        if {mutation.name, mutation.fingerprint} & self.equivalents.keys():
            return Outcome(mutation, "equivalent", "see equivalent.toml", 0, seconds)
        return Outcome(mutation, "survived", "", seeds, seconds)


def is_simulated(mutation):
    return mutation.path.startswith(_SIMULATED)


def area_of(mutation):
    """Where a mutation is counted: its stage or adapter by the name of its patch, else its file."""
    first = mutation.name.split("-")[0]
    folders = mutation.path.split("/")
    stages = ("ingest", "inventory", "payment", "fulfillment", "notification")
    if first in stages and ":" not in mutation.name:
        return first
    if folders[0] == "deploy":
        return f"adapters/{folders[1]}"
    return "/".join(folders[1:3]) if folders[1] == "adapters" else folders[1]


def table(outcomes):
    """The report's rows, in Markdown."""
    lines = ["| mutant | plants | caught by | seeds | seconds |", "|---|---|---|---:|---:|"]
    for o in sorted(outcomes, key=lambda o: (area_of(o.mutation), o.mutation.name)):
        by = o.by if o.state == "caught" else f"**{o.state}** {o.by}".strip()
        if ":" in o.mutation.name and o.state == "survived":
            by += f" ({o.mutation.fingerprint})"
        lines.append(f"| {o.mutation.name} | {_cell(o.mutation.note)} | {_cell(by)} |"
                     f" {o.seeds or ''} | {o.seconds:.1f} |")
    return "\n".join(lines) + "\n"


def summary(outcomes):
    """Caught and total by area, in Markdown."""
    areas = {}
    for o in outcomes:
        counts = areas.setdefault(area_of(o.mutation), {})
        counts[o.state] = counts.get(o.state, 0) + 1
    states = ("caught", "equivalent", "survived", "broken")
    lines = ["| area | mutants | caught | equivalent | survived | broken |",
             "|---|---:|---:|---:|---:|---:|"]
    for area in sorted(areas):
        counts = [areas[area].get(state, 0) for state in states]
        lines.append(f"| {area} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |")
    totals = [sum(1 for o in outcomes if o.state == state) for state in states]
    lines.append(f"| all | {len(outcomes)} | " + " | ".join(map(str, totals)) + " |")
    return "\n".join(lines) + "\n"


def by_detector(outcomes):
    """How many each detector caught, in Markdown."""
    counts = {}
    for o in outcomes:
        if o.state == "caught":
            name = o.by.split(":")[0]
            counts[name] = counts.get(name, 0) + 1
    lines = ["| caught by | mutants |", "|---|---:|"]
    lines += [f"| {name} | {counts[name]} |" for name in sorted(counts, key=lambda n: -counts[n])]
    return "\n".join(lines) + "\n"


def write_section(file, section, text):
    """Replaces what stands between `<!-- section -->` and the next such mark or heading."""
    mark = f"<!-- {section} -->\n"
    before, found, after = file.read_text().partition(mark)
    if not found:
        raise SystemExit(f"{file} has no line {mark.strip()}")
    end = re.search(r"^(?:<!-- |#)", after, re.MULTILINE)
    rest = "\n" + after[end.start():] if end else ""
    file.write_text(before + mark + "\n" + text.rstrip("\n") + "\n" + rest)


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")
