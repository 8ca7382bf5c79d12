"""The documents agree with the code: error codes, metrics, links."""

import posixpath
import re

import cpp_text
from tree import Complaint, is_test

ERROR_HEADER = "src/domain/error_code.h"
REASON_HEADER = "src/domain/reason.h"
ERROR_PAGES = "docs/errors"
METRICS_PAGE = "docs/metrics.md"
ROUTES = "src/api/routes.cpp"
API_PAGE = "docs/api.md"
LIMITS = "src/domain/limits.h"

# An X-macro's entry `X(kName, "code", ...)` or a table's `{ErrorCode::name, "code", ...}`: the
# first literal of an entry is its code.
_ENTRY = re.compile(r'(?:\b[A-Z]\w*\s*\(|\{)\s*[\w:]*\s*,?\s*"([^"\n]*)"')
# A reason's entry carries its stored number first: X(7, name, "text", ...); "" has no page.
_REASON = re.compile(r'\bX\(\s*\d+\s*,\s*\w+\s*,\s*"([^"\n]+)"')
_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_METRIC = re.compile(r"penstock_[a-z0-9_]+")
_ROUTE = re.compile(r'Route\{\s*(?:net::)?HttpMethod::(\w+),\s*"([^"]+)"')
_DOCUMENTED_ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^\s`?]*)")
_LIMIT = re.compile(r"\binline constexpr [\w:]+ (k\w+) =")
_SERIES_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def error_codes(tree):
    """The codes that src/domain/error_code.h (or the .cpp beside it) lists, then the reasons."""
    codes = []
    for path in (ERROR_HEADER, ERROR_HEADER[:-1] + "cpp"):
        if tree.exists(path):
            codes += _ENTRY.findall(cpp_text.without_comments(tree.text(path)))
    if tree.exists(REASON_HEADER):
        codes += _REASON.findall(cpp_text.without_comments(tree.text(REASON_HEADER)))
    return list(dict.fromkeys(codes))


def error_pages(tree):
    """Every error code has its page, titled with the code; every page has its code."""
    codes = error_codes(tree)
    if not codes:
        yield Complaint(ERROR_HEADER, 1, "error code", "no error code is listed here")
        return
    for code in codes:
        if not _CODE.fullmatch(code):
            yield Complaint(ERROR_HEADER, 1, "error code", f'"{code}" has another form')
            continue
        page = f"{ERROR_PAGES}/{code}.md"
        if not tree.exists(page):
            yield Complaint(page, 1, "error code", f"no page for {code}")
        elif code not in tree.text(page).split("\n", 1)[0]:
            yield Complaint(page, 1, "error code", f"the first line does not name {code}")
    for page in tree.below(("docs",), (".md",)):
        folder, name = posixpath.split(page)
        if folder == ERROR_PAGES and name not in ("README.md", "index.md") \
                and name[:-len(".md")] not in codes:
            yield Complaint(page, 1, "error code", "a page without an error code")


def metrics_page(tree):
    """Every metric that the code registers has its line in the document, and the reverse."""
    registered = {}
    for path in tree.below(("src",), (".cpp", ".h")):
        if is_test(path):
            continue
        for line, literal in cpp_text.string_literals(tree.text(path)):
            if _METRIC.fullmatch(literal):
                registered.setdefault(literal, (path, line))
    documented = {}
    if tree.exists(METRICS_PAGE):
        for number, line in enumerate(tree.text(METRICS_PAGE).split("\n"), 1):
            for name in _METRIC.findall(line):
                documented.setdefault(name, number)
    for name, (path, line) in sorted(registered.items()):
        if name not in documented:
            yield Complaint(path, line, "metric", f"{name} has no line in {METRICS_PAGE}")
    for name, line in sorted(documented.items()):
        if name not in registered and _SERIES_SUFFIX.sub("", name) not in registered:
            yield Complaint(METRICS_PAGE, line, "metric", f"{name} is registered nowhere in src/")


def links(tree):
    """Relative links in the project's Markdown lead to files that exist."""
    for page in tree.files:
        if not page.endswith(".md"):
            continue
        text = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m[0]), tree.text(page),
                      flags=re.DOTALL)
        for match in re.finditer(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", text):
            if re.match(r"[a-z]+:", match[1]):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[1]))
            if not (tree.root / target).exists():
                yield Complaint(page, text.count("\n", 0, match.start()) + 1, "link",
                                f"{match[1]} leads nowhere")


def routes_page(tree):
    """Every route of the API stands in its document as `METHOD /path`, and the reverse."""
    if not tree.exists(ROUTES):
        return
    def shape(method, path):
        return method.upper().rstrip("_"), re.sub(r"\{\w+\}", "{}", path)
    served = {shape(*found) for found in _ROUTE.findall(tree.text(ROUTES))}
    documented = {}
    page = tree.text(API_PAGE) if tree.exists(API_PAGE) else ""
    for number, line in enumerate(page.split("\n"), 1):
        for found in _DOCUMENTED_ROUTE.findall(line):
            documented.setdefault(shape(*found), number)
    for route in sorted(served - documented.keys()):
        yield Complaint(ROUTES, 1, "route", f"{' '.join(route)} has no line in {API_PAGE}")
    for route in sorted(documented.keys() - served):
        yield Complaint(API_PAGE, documented[route], "route", f"{' '.join(route)} is not served")


def limits_are_enforced(tree):
    """A limit that only tests and other limits name is enforced nowhere."""
    if not tree.exists(LIMITS):
        return
    code = "\n".join(cpp_text.without_comments(tree.text(path))
                     for path in tree.below(("src",), (".cpp", ".h"))
                     if path != LIMITS and not is_test(path))
    used = set(re.findall(r"\bk[A-Z]\w*", code))
    for number, line in enumerate(tree.text(LIMITS).split("\n"), 1):
        for name in _LIMIT.findall(line):
            if name not in used:
                yield Complaint(LIMITS, number, "limit", f"{name} is enforced nowhere in src/")


CHECKS = (error_pages, metrics_page, routes_page, limits_are_enforced, links)
