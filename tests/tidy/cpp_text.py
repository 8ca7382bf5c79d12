"""C++ source as text: comments and literals blanked, functions found by their braces.

This is no parser. It knows what the house style writes: it is sound for namespaces, types,
functions, constructors with initialiser lists, lambdas and test macros, as its self-test shows.
"""

import re
from dataclasses import dataclass

_LITERAL_OR_COMMENT = re.compile(
    r"""
    (?P<raw>(?<!\w)(?:u8|u|U|L)?R"(?P<delim>[^\s()\\]{0,16})\(.*?\)(?P=delim)")
  | (?P<line>//(?:[^\n\\]|\\.|\\\n)*)
  | (?P<block>/\*.*?\*/)
  | (?P<string>"(?:[^"\\\n]|\\.|\\\n)*")
  | (?P<char>(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+')
    """,
    re.VERBOSE | re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE | re.DOTALL)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """The text with comments blanked; literals stay. Line numbers are kept."""
    def replace(match):
        return _blank(match[0]) if match["line"] or match["block"] else match[0]
    return _LITERAL_OR_COMMENT.sub(replace, text)


def without_literals(text):
    """The text with the contents of literals blanked; comments stay. Line numbers are kept."""
    def replace(match):
        return match[0] if match["line"] or match["block"] else '"' + _blank(match[0][1:-1]) + '"'
    return _LITERAL_OR_COMMENT.sub(replace, text)


def code_only(text):
    """The text with comments, literals' contents and directives blanked; line numbers are kept."""
    def replace(match):
        if match["line"] or match["block"]:
            return _blank(match[0])
        return '"' + _blank(match[0][1:-1]) + '"'
    return _DIRECTIVE.sub(lambda match: _blank(match[0]), _LITERAL_OR_COMMENT.sub(replace, text))


def string_literals(text):
    """(line, content) of every ordinary string literal outside comments."""
    for match in _LITERAL_OR_COMMENT.finditer(text):
        if match["string"]:
            yield text.count("\n", 0, match.start()) + 1, match["string"][1:-1]


def includes(text):
    """(line, spelled path, quoted) of every include directive outside comments."""
    pattern = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
    bare = without_comments(text)
    for match in pattern.finditer(bare):
        yield bare.count("\n", 0, match.start()) + 1, match[1] or match[2], match[1] is not None


@dataclass
class Function:
    """A function body: lines from the head's first line to the closing brace, both counted."""
    name: str
    first_line: int
    last_line: int

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


_CONTAINER = re.compile(
    r"^(?:(?:export|inline|typedef|static|template\s*<.*>|\[\[.*?\]\])\s*)*"
    r'(?:namespace\b|class\b|struct\b|union\b|enum\b|concept\b|extern\s*"\s*"\s*$)', re.DOTALL)
_AFTER_PARAMETERS = re.compile(
    r"\)\s*(?:(?:const|volatile|override|final|mutable|try|&&?|noexcept(?:\s*\([^{]*\))?"
    r"|throw\s*\(\s*\)|\[\[.*?\]\]|->[^{;=]*|requires\b[^{;]*)\s*)*$", re.DOTALL)
_INITIALISERS = re.compile(r"\)[^()=;]*?(?<!:):(?!:)")


def _opens_function(head):
    if "(" not in head:
        return False
    if _CONTAINER.match(head) and not re.search(r"\)\s*(?:const|noexcept|override)?\s*$", head):
        return False
    if _AFTER_PARAMETERS.search(head):
        return True
    # A constructor's body follows its last member initialiser, `a_(1), b_{2}`.
    return bool(_INITIALISERS.search(head)) and head.rstrip().endswith("}")


def _opens_member_initialiser(head):
    return bool(_INITIALISERS.search(head)) and bool(re.search(r"[\w>]\s*$", head)) and \
        not _AFTER_PARAMETERS.search(head)


def _name_of(head):
    match = re.search(r"([~\w:]+(?:\s*operator\s*\S+?)?)\s*\(([^()]*)", head)
    if not match:
        return "?"
    if re.fullmatch(r"[A-Z][A-Z_]+", match[1]):
        return f"{match[1]}({' '.join(match[2].split())})"
    return match[1]


class _Scanner:
    """Walks blanked code; a head is what stands since the last `;`, `{` or `}`."""

    def __init__(self, code):
        self.code = code
        self.position = 0
        self.head_start = 0
        self.functions = []

    def line(self, position):
        return self.code.count("\n", 0, position) + 1

    def closing(self, opening):
        """The position of the brace that closes the one at `opening`, or the text's end."""
        depth = 0
        for match in re.compile(r"[{}]").finditer(self.code, opening):
            depth += 1 if match[0] == "{" else -1
            if depth == 0:
                return match.start()
        return len(self.code) - 1

    def open_brace(self):
        head = self.code[self.head_start:self.position]
        bare = re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)+", "", head)
        if _opens_function(bare.strip()):
            end = self.closing(self.position)
            start = self.position - len(bare.lstrip())
            self.functions.append(Function(_name_of(bare), self.line(start), self.line(end)))
            self.position = end
            self.head_start = end + 1
        elif _opens_member_initialiser(bare) or not _CONTAINER.match(bare.strip()):
            # An initialiser: the head goes on behind it.
            self.position = self.closing(self.position)
        else:
            self.head_start = self.position + 1

    def run(self):
        parentheses = 0
        while self.position < len(self.code):
            character = self.code[self.position]
            if character == "(":
                parentheses += 1
            elif character == ")":
                parentheses = max(0, parentheses - 1)
            elif character == "{":
                if parentheses:
                    # A default argument or a table inside a macro's arguments.
                    self.position = self.closing(self.position)
                else:
                    self.open_brace()
            elif character in ";}" and not parentheses:
                self.head_start = self.position + 1
            self.position += 1
        return self.functions


def functions(text):
    """Every outermost function, lambda and test body of a file; what is nested counts inside."""
    return _Scanner(code_only(text)).run()
