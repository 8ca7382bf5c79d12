"""The planting of bugs is itself tested: a tool that catches everything would prove nothing."""

import re
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import campaign
import mutations
import operators
from detectors import Verdict

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent

PATCH = """# sells one too many (13)
--- a/src/domain/stock.cpp
+++ b/src/domain/stock.cpp
@@ -2,3 +2,3 @@
 int take(int pieces) {
-  return pieces - 1;
+  return pieces;
 }
"""
STOCK = "\nint take(int pieces) {\n  return pieces - 1;\n}\n"


def patch_of(text, name="stock-one-too-many"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name + ".patch")
        path.write_text(text)
        return mutations.read_patch(path)


class Patches(unittest.TestCase):
    def test_a_patch_replaces_its_lines_wherever_they_have_moved_to(self):
        mutation = patch_of(PATCH)
        self.assertEqual(mutation.note, "sells one too many (13)")
        moved = "// one\n// two\n" + STOCK
        self.assertEqual(mutation.applied_to(moved), moved.replace("pieces - 1", "pieces"))

    def test_of_several_places_it_takes_the_nearest(self):
        mutation = patch_of(PATCH)
        body = STOCK[1:]
        self.assertEqual(mutation.applied_to("\n" + body + body),
                         "\n" + body.replace(" - 1", "") + body)
        self.assertEqual(mutation.applied_to(body + body),
                         body.replace(" - 1", "") + body)

    def test_a_patch_without_its_lines_does_not_apply(self):
        with self.assertRaises(mutations.DoesNotApply):
            patch_of(PATCH).applied_to(STOCK.replace("- 1", "- 2"))

    def test_a_file_that_is_no_such_patch_is_refused(self):
        unchanged = PATCH.replace("-  return pieces - 1;\n", "").replace("+  return pieces;\n", "")
        for text in (PATCH[2:], PATCH.replace("@@", "??"), unchanged):
            with self.assertRaises(ValueError):
                patch_of(text)

    def test_the_fingerprint_is_of_what_is_planted_and_not_of_where(self):
        one, moved = patch_of(PATCH), patch_of(PATCH.replace("-2,3 +2,3", "-9,3 +9,3"))
        self.assertEqual(one.fingerprint, moved.fingerprint)
        other = patch_of(PATCH.replace("+  return pieces;", "+  return 0;"))
        self.assertNotEqual(one.fingerprint, other.fingerprint)


class PlantedByText(unittest.TestCase):
    BUG = """[[bug]]
name = "stock-all-taken"
plants = "sells what is not there (13)"
in = "src/domain"
find = "return pieces - 1;"
replace = "return pieces;"
"""

    def load(self, sources, bug=BUG):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "bugs").mkdir()
            Path(folder, "bugs/domain.toml").write_text(bug)
            for name, text in sources.items():
                file = Path(folder, "src/domain", name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return mutations.load_planted(Path(folder, "bugs"), folder)

    def test_a_bug_is_found_wherever_its_text_is_and_however_it_is_formatted(self):
        broken = STOCK.replace("pieces - 1", "pieces\n      - 1")
        for name, text in (("stock.cpp", STOCK), ("room.h", broken)):
            [mutation] = self.load({name: text, "stock_test.cpp": STOCK})
            self.assertEqual(mutation.path, f"src/domain/{name}")
            self.assertEqual(mutation.applied_to(text), STOCK.replace("pieces - 1", "pieces"))

    def test_a_text_that_is_absent_or_stands_twice_does_not_apply(self):
        for sources in ({"stock.cpp": "int x;\n"}, {"a.cpp": STOCK, "b.cpp": STOCK}):
            with self.assertRaises(mutations.DoesNotApply):
                self.load(sources)

    def test_two_bugs_of_one_name_are_refused(self):
        with self.assertRaises(ValueError):
            self.load({"stock.cpp": STOCK}, self.BUG * 2)


class Generated(unittest.TestCase):
    def notes_of(self, text, enumerators=None):
        made = operators.generate("src/domain/a.cpp", text, enumerators or {})
        for mutation in made:
            self.assertNotEqual(mutation.applied_to(text), text)
        return [m.note for m in made]

    def test_the_operators_flip_compare_negate_and_leave_out(self):
        text = ("bool f(int a) {\n"
                "  if (a < 3 && g(a)) return true;\n"
                "  count += a;\n"
                "  return !h(a);\n"
                "}\n")
        self.assertEqual(sorted(self.notes_of(text)), sorted([
            "if negated", "< -> <=", "3 -> 4", "&& -> ||", "true -> false",
            "+= -> -=", "statement left out", "! left out"]))

    def test_declarations_literals_comments_and_checks_are_left_alone(self):
        self.assertEqual(self.notes_of(
            "// a < b\n#define X 1\nstatic_assert(1 < 2);\n"
            "void f() {\n  PENSTOCK_CHECK(a > 0, \"1 + 1\");\n  const int b = c;\n}\n"), [])

    def test_an_enumerator_becomes_the_next_one_of_its_enum(self):
        enumerators = operators.enumerators_of(
            ["enum class Status : int {\n  placed = 1,  ///< first, always\n  charged = 2,\n};"])
        self.assertEqual(enumerators, {"Status": ["placed", "charged"]})
        self.assertEqual(self.notes_of("x = Status::charged;", enumerators), ["charged -> placed"])

    def test_the_same_text_gives_the_same_mutations(self):
        text = (ROOT / "src/domain/stock.cpp").read_text()
        first, second = (operators.generate("src/domain/stock.cpp", text, {}) for _ in range(2))
        self.assertEqual(first, second)
        self.assertGreater(len(first), 20)
        self.assertEqual(len({m.name for m in first}), len(first))


class FakeWorkspace:
    """Two files; planting is remembered, everything compiles but what says so."""

    def __init__(self):
        self.planted = None
        self.built = []

    def text(self, _path):
        return STOCK

    def plant(self, mutation):
        self.planted = mutation

    def compile(self, target):
        self.built.append((target, self.planted.name if self.planted else None))
        return type("Ended", (), {"code": 0, "output": ""})


class FakeDetector:
    def __init__(self, name, catches, sees=True):
        self.name = self.target = name
        self.catches = catches
        self.seen = sees
        self.looks = 0
        self.baseline_s = None

    def sees(self, _workspace, _path):
        return self.seen

    def identity(self, _workspace):
        return self.name

    def learn(self, workspace):
        return "always" if self.catches(None) else None

    def look(self, workspace):
        self.looks += 1
        caught = self.catches(workspace.planted)
        return Verdict(caught, self.name if caught else "", 0, 0.0)


class Campaigns(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.verdicts = Path(folder.name, "verdicts.json")

    def run_with(self, detectors, equivalents=None, patch=PATCH):
        self.workspace = FakeWorkspace()
        made = campaign.Campaign(self.workspace, detectors, campaign.Memory(self.verdicts),
                                 equivalents or {}, lambda _line: None)
        return made.run([patch_of(patch)])[0]

    def test_the_first_detector_that_fails_ends_the_search(self):
        detectors = [FakeDetector("blind", lambda _m: False), FakeDetector("sharp", bool),
                     FakeDetector("late", bool)]
        outcome = self.run_with(detectors)
        self.assertEqual((outcome.state, outcome.by), ("caught", "sharp"))
        self.assertEqual([d.looks for d in detectors], [1, 1, 0])
        self.assertIsNone(self.workspace.planted)

    def test_a_detector_that_is_not_built_from_the_file_is_not_asked(self):
        outcome = self.run_with([FakeDetector("elsewhere", bool, sees=False)])
        self.assertEqual(outcome.state, "survived")

    def test_a_verdict_is_asked_for_once(self):
        self.run_with([FakeDetector("sharp", bool)])
        again = FakeDetector("sharp", bool)
        self.assertEqual(self.run_with([again]).state, "caught")
        self.assertEqual(again.looks, 0)

    def test_a_survivor_with_a_proof_is_equivalent_and_a_caught_one_stays_caught(self):
        proof = {"stock-one-too-many": "it is so"}
        self.assertEqual(self.run_with([FakeDetector("blind", lambda _m: False)], proof).state,
                         "equivalent")
        self.assertEqual(self.run_with([FakeDetector("sharp", bool)], proof).state, "caught")

    def test_what_does_not_apply_is_broken(self):
        stale = PATCH.replace("pieces - 1", "pieces - 7")
        self.assertEqual(self.run_with([FakeDetector("sharp", bool)], patch=stale).state, "broken")

    def test_a_detector_that_fails_without_a_mutation_is_not_believed(self):
        with self.assertRaises(campaign.NotReady):
            self.run_with([FakeDetector("paranoid", lambda _m: True)])

    def test_an_equivalence_without_a_proof_is_refused(self):
        file = self.verdicts.with_name("equivalent.toml")
        file.write_text('[a]\nproof = "obvious"\n')
        with self.assertRaises(SystemExit):
            campaign.read_equivalents(file)


class PlantedBugs(unittest.TestCase):
    def test_every_patch_applies_to_the_tree(self):
        for mutation in mutations.load_patches(FOLDER):
            with self.subTest(mutation.name):
                mutation.applied_to((ROOT / mutation.path).read_text())

    def test_every_bug_that_is_addressed_by_text_applies_once(self):
        planted = mutations.load_planted(FOLDER / "planted", ROOT)
        self.assertGreaterEqual(len(planted), 60)
        counts = Counter(m.path.split("/")[1] for m in planted)
        for area in ("api", "net", "gateway", "cli", "main", "checker"):
            self.assertGreaterEqual(counts[area], 5, area)

    def test_every_stage_and_every_adapter_has_at_least_five(self):
        counts = Counter(campaign.area_of(m) for m in mutations.load_patches(FOLDER))
        for area in ("ingest", "inventory", "payment", "fulfillment", "notification",
                     "adapters/memory", "adapters/rocksdb", "adapters/gateway_http",
                     "adapters/webhook", "adapters/system", "domain", "pipeline"):
            self.assertGreaterEqual(counts[area], 5, area)

    def test_equivalents_are_of_patches_that_exist(self):
        names = {m.name for m in mutations.load_patches(FOLDER)}
        proven = set(campaign.read_equivalents(FOLDER / "equivalent.toml"))
        is_generated = re.compile(r"[0-9a-f]{16}").fullmatch  # by its fingerprint
        self.assertLessEqual({name for name in proven if not is_generated(name)}, names)


if __name__ == "__main__":
    unittest.main()
