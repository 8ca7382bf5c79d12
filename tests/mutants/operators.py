"""Generated mutations: small operators over the tokens of C++ text, in a fixed order."""

import re
from dataclasses import dataclass

from mutations import between

_TOKEN = re.compile(r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<text>R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])+')
  | (?P<number>0x[0-9A-Fa-f']+|\d[\d']*(?:\.\d+)?)[uUlL]*
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign><=>|<<=|>>=|->|::|\+\+|--|&&|\|\||[<>=!+\-*/%&|^]=|<<|>>|.)
""", re.VERBOSE | re.MULTILINE | re.DOTALL)

_FLIPS = {"<": ("<=",), "<=": ("<",), ">": (">=",), ">=": (">",), "==": ("!=",), "!=": ("==",),
          "&&": ("||",), "||": ("&&",), "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",),
          "%": ("/",), "<<": (">>",), ">>": ("<<",), "+=": ("-=",), "-=": ("+=",),
          "++": ("--",), "--": ("++",)}
_SPACED = set(_FLIPS) - {"++", "--"}  # templates, references and pointers have no space before
_WORDS = {"true": "false", "false": "true", "min": "max", "max": "min",
          "front": "back", "begin": "end", "lower_bound": "upper_bound"}
_NO_STATEMENT = {"return", "break", "continue", "case", "default", "using", "if", "else", "for",
                 "while", "do", "switch", "const", "constexpr", "static", "auto", "namespace",
                 "template", "class", "struct", "enum", "inline", "static_assert", "public",
                 "private", "friend", "explicit", "typedef", "bool", "char", "int", "delete"}
# Declarations, where a mutation only fails to compile, and checks of the program's own errors,
# which hold in every right program.
_LEFT_ALONE = {"static_assert", "using", "template", "enum", "friend", "PENSTOCK_CHECK"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: int

    @property
    def end(self):
        return self.at + len(self.text)


def tokens_of(text):
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        kind = match.lastgroup
        if kind != "skip":
            found.append(Token(kind, match.group(kind), match.start()))
        at = match.end()
    return found


def enumerators_of(headers):
    """{"Status": ["placed", ...]} of every `enum class` in the texts."""
    found = {}
    for text in headers:
        for match in re.finditer(r"enum class (\w+)[^{;]*\{([^}]*)\}", text):
            body = re.sub(r"//[^\n]*", "", match.group(2))
            names = re.findall(r"(?:^|,)\s*(\w+)", body)
            if len(names) > 1:
                found[match.group(1)] = names
    return found


def _statement_starts(tokens):
    """Where an expression statement inside a function may begin."""
    depth_of_function = 0
    open_braces = []
    for index, token in enumerate(tokens):
        if token.text == "{":
            before = tokens[index - 1].text if index else ""
            is_function = before in (")", "const", "noexcept", "override", "else", "do") or \
                bool(depth_of_function) and before in (";", "{", "}", ":")
            open_braces.append(is_function)
            depth_of_function += is_function
        elif token.text == "}" and open_braces:
            depth_of_function -= open_braces.pop()
        if depth_of_function and token.text in "{};" and index + 1 < len(tokens):
            yield index + 1


def _removals(tokens):
    """(first, last) token of each expression statement that can be left out."""
    for first in _statement_starts(tokens):
        head = tokens[first]
        if head.text in _NO_STATEMENT or head.kind not in ("name", "sign") or head.text in "{}":
            continue
        depth, last, is_expression = 0, None, head.text in ("++", "--")
        for index in range(first, min(first + 120, len(tokens))):
            word = tokens[index].text
            if word in "([{":
                depth += 1
            elif word in ")]}":
                depth -= 1
            elif word == ";" and depth == 0:
                last = index
                break
            elif depth == 0 and word in ("=", "+=", "-=", "++", "--", "|=", "^=", "<<="):
                is_expression = True
            if depth < 0:
                break
            follows = tokens[index + 1] if index + 1 < len(tokens) else None
            if depth == 0 and tokens[index].kind == "name" and follows is not None and \
                    follows.kind == "name":
                is_expression, last = False, None  # two names in a row declare something
                break
            if depth == 0 and tokens[index].kind == "name" and follows.text == "(":
                is_expression = True
        if last is not None and is_expression:
            yield first, last


def _conditions(tokens):
    """(first, end) token of the condition of each `if`."""
    for index, token in enumerate(tokens):
        if token.text != "if" or tokens[index + 1].text != "(":
            continue
        depth, first = 0, index + 2
        for end in range(index + 1, len(tokens)):
            depth += {"(": 1, ")": -1}.get(tokens[end].text, 0)
            if tokens[end].text == ";" and depth == 1:
                first = end + 1
            if depth == 0:
                break
        words = [t.text for t in tokens[first:end]]
        if "=" not in words:  # a declaration is no expression to negate
            yield first, end


def _left_alone(tokens):
    inside, skipping = set(), False
    for index, token in enumerate(tokens):
        if token.text in _LEFT_ALONE:
            skipping = True
        if skipping:
            inside.add(index)
            if token.text in ";{":
                skipping = False
    return inside


def _edits(text, enumerators):
    """(place, end, replacement, what) of every mutation, by place."""
    tokens = tokens_of(text)
    untouched = _left_alone(tokens)
    edits = []
    for index, token in enumerate(tokens):
        if index in untouched:
            continue
        spaced = text[token.at - 1:token.at].isspace() and text[token.end:token.end + 1].isspace()
        if token.kind == "sign" and token.text in _FLIPS and \
                (token.text not in _SPACED or spaced):
            for other in _FLIPS[token.text]:
                edits.append((token.at, token.end, other, f"{token.text} -> {other}"))
        elif token.text == "!" and text[token.end] != "=":
            edits.append((token.at, token.end, "", "! left out"))
        elif token.kind == "number" and "." not in token.text and token.text[:2] != "0x":
            more = str(int(token.text.replace("'", "")) + 1)
            edits.append((token.at, token.end, more, f"{token.text} -> {more}"))
        elif token.kind == "name" and token.text in _WORDS and tokens[index - 1].text != "(":
            other = _WORDS[token.text]
            edits.append((token.at, token.end, other, f"{token.text} -> {other}"))
        elif token.kind == "name" and token.text in enumerators and index + 2 < len(tokens) and \
                tokens[index + 1].text == "::" and tokens[index - 1].text != "case":
            names, value = enumerators[token.text], tokens[index + 2]
            if value.text in names:
                other = names[(names.index(value.text) + 1) % len(names)]
                edits.append((value.at, value.end, other, f"{value.text} -> {other}"))
    for first, end in _conditions(tokens):
        begin, stop = tokens[first].at, tokens[end].at
        edits.append((begin, stop, f"!({text[begin:stop]})", "if negated"))
    for first, last in _removals(tokens):
        begin, stop = tokens[first].at, tokens[last].end
        if first not in untouched:
            edits.append((begin, stop, ";", "statement left out"))
    return sorted(edits)


def generate(path, text, enumerators):
    """All mutations of one file. The names are stable as long as the file is."""
    found, used = [], {}
    stem = path.rsplit("/", 1)[-1]
    for begin, end, replacement, what in _edits(text, enumerators):
        line = text.count("\n", 0, begin) + 1
        key = f"{stem}:{line}"
        used[key] = used.get(key, 0) + 1
        changed = text[:begin] + replacement + text[end:]
        found.append(between(f"{key}.{used[key]}", what, path, text, changed))
    return found
