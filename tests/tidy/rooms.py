"""Who may include whom, and which library stays in which room."""

import re

import cpp_text
from tree import Complaint, is_test, room

_LEFT = {
    "domain": set(),
    "ports": {"domain"},
    "net": set(),
    "pipeline": {"ports", "domain"},
    "checker": {"domain"},
    "gateway": {"domain", "ports", "net"},
    "adapters": {"domain", "ports", "net"},
    "api": {"pipeline", "ports", "domain", "net"},
    "cli": {"pipeline", "ports", "domain", "net", "checker"},
}
# The rooms that wire parts together: they may name any room of src/, concrete adapters included.
_WIRING = {"main", "simulation", "tests", "bench"}
# What test programs beside the code may see on top: the in-memory adapter is a full store, the
# sandbox gateway a full gateway, and tests/ holds the contract suites.
_TESTS_MAY_SEE = {"adapters/memory", "gateway", "tests"}

# A library's header prefix, and the rooms that may include it; tests and bench may as well.
_CONFINED = {
    "rocksdb/": {"adapters/rocksdb"},
    "libpq-fe.h": {"adapters/postgres"},
    "curl/": {"net", "adapters"},
    "prometheus/": {"adapters", "api", "main"},
    "toml.hpp": {"main", "simulation"},
    "CLI/": {"main", "cli"},
}
_PURE = {"domain", "pipeline"}
_BANNED_IN_PURE = re.compile(
    r"^(?:thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier"
    r"|fstream|filesystem|iostream|random|ctime|time\.h|unistd\.h|fcntl\.h"
    r"|pthread\.h|poll\.h|netdb\.h|sys/.*|arpa/.*|netinet/.*"
    r"|boost/(?:json|asio|beast|thread|filesystem)\b.*|openssl/(?:ssl|rand|bio)\.h)$")
_BANNED_NAMES_IN_PURE = re.compile(
    r"\b(?:(?:steady|system|high_resolution|utc|tai|gps|file)_clock|clock_gettime|gettimeofday"
    r"|random_device|getenv|this_thread)\b")
_BEAST = "boost/beast"
MAX_BEAST_UNITS = 5
_VAGUE = re.compile(r"(?:^|[/_])(?:utils?|common|helpers?|misc)(?=[/_.])")


def allowed(path, target):
    """Whether the file may include the project's file `target`."""
    here, there = room(path), room(target)
    if here == there or here in ("simulation", "tests", "bench"):
        return True
    if here == "main":
        return target.startswith("src/") or there == "simulation"
    if is_test(path) and there in _TESTS_MAY_SEE:
        return True
    return there in _LEFT.get(here.split("/")[0], set())


def include_direction(tree):
    """Includes go only leftwards; every quoted include names a file of the project."""
    for path in tree.cpp_files:
        here = room(path)
        if path.startswith("src/") and here.split("/")[0] not in _LEFT and here not in _WIRING:
            yield Complaint(path, 1, "room", f"no rule for the room {here}")
            continue
        for line, spelled, quoted in tree.includes(path):
            target = tree.resolve(spelled)
            if target is None:
                if quoted and not spelled.startswith("generated/"):
                    yield Complaint(path, line, "include", f'no file "{spelled}" under src/')
            elif not quoted:
                yield Complaint(path, line, "include", f'our own <{spelled}> takes quotes')
            elif not allowed(path, target):
                yield Complaint(path, line, "direction", f"{here} may not see {room(target)}")


def _listing_of(target):
    return f"{'' if target == 'simulation' else 'src/'}{target}/CMakeLists.txt"


def link_direction(tree):
    """What a folder's CMakeLists.txt links obeys the same direction as what it includes."""
    rooms = {}
    listings = [f for f in tree.below(("src",), ("CMakeLists.txt",)) if f.count("/") > 1]
    listings += tree.below(("simulation",), ("CMakeLists.txt",))
    declaration = re.compile(r"penstock_library\(\s*(\w+)(.*?)\)", re.DOTALL)
    for path in listings:
        for match in declaration.finditer(tree.text(path)):
            rooms[f"penstock_{match[1]}"] = room(path)
    for path in listings:
        text = tree.text(path)
        for match in declaration.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            for name in re.findall(r"\bpenstock_\w+", match[2]):
                target = rooms.get(name)
                if target is None:
                    yield Complaint(path, line, "direction", f"links the unknown {name}")
                elif not allowed(path, _listing_of(target)):
                    yield Complaint(path, line, "direction",
                                    f"{room(path)} may not link {name} of {target}")


def confined_libraries(tree):
    """Each library stays in the rooms that need it; domain and pipeline name no outside world."""
    for path in tree.cpp_files:
        here = room(path)
        family = here.split("/")[0]
        for line, spelled, _ in tree.includes(path):
            for prefix, homes in _CONFINED.items():
                if spelled.startswith(prefix) and not {here, family} & homes \
                        and not is_test(path) and here != "bench":
                    yield Complaint(path, line, "library",
                                    f"<{spelled}> belongs to {sorted(homes)}")
            if here in _PURE and not is_test(path) and _BANNED_IN_PURE.match(spelled):
                yield Complaint(path, line, "purity", f"{here} may not name <{spelled}>")
        if here in _PURE and not is_test(path):
            code = cpp_text.code_only(tree.text(path))
            for match in _BANNED_NAMES_IN_PURE.finditer(code):
                yield Complaint(path, code.count("\n", 0, match.start()) + 1, "purity",
                                f"{here} may not name {match[0]}")


def beast_units(tree):
    """Few translation units include Beast: each costs 15 s, and 1.2 GB under ASan."""
    units = [f for f in tree.cpp_files if f.endswith(".cpp")
             and any(name.startswith(_BEAST) for name in tree.closure(f))]
    if len(units) > MAX_BEAST_UNITS:
        yield Complaint(units[-1], 1, "beast",
                        f"{len(units)} units include Beast, {MAX_BEAST_UNITS} may: {units}")


def vague_names(tree):
    """No room and no file is named for what it is not."""
    for path in tree.below(("src", "simulation", "tests", "bench", "scripts"), ("",)):
        match = _VAGUE.search(path)
        if match:
            yield Complaint(path, 1, "name", f"{match[0].strip('/_')} says nothing")


CHECKS = (include_direction, link_direction, confined_libraries, beast_units, vague_names)
