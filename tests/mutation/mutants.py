# SPDX-License-Identifier: Apache-2.0
"""What is changed in a C file that clang-format has laid out: OPERATORS, in README.md."""
import collections
import re

Mutant = collections.namedtuple(
    "Mutant", "file function line operator nth was new start end text")
# start, end, text: what is replaced by what; was, new: those lines before and after;
# nth: of mutants of the function that read alike

OPPOSITE = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">",
    "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "/", "/": "*", "%": "/",
    "&": "|", "|": "&", "^": "&", "<<": ">>", ">>": "<<",
    "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "++": "--", "--": "++",
    "true": "false", "false": "true",
}
NO_NUMBER = re.compile(r"^\s*(static |const |struct |unsigned )*\w+ [\w*]+\[")
DECLARES = re.compile(r"(?!goto)(const |static |struct |enum |unsigned |_Atomic )*"
                      r"[a-zA-Z]\w* \**\w+(\[| =|;|,)")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(text):
    """The text with what is no code as blanks: comments, words, #, asserts."""
    words = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    text = re.sub(rf"/\*.*?\*/|//[^\n]*|{words}", blank, text, flags=re.S)
    text = re.sub(r"^#(?:.*\\\n)*.*", blank, text, flags=re.M)
    return re.sub(r"\bassert\([^;]*;", blank, text)


def functions(code):
    """(name, its type, begin of its body, end)"""
    for m in re.finditer(r"^([a-z][^;{}()=]*?\b(\w+)\([^;{}]*\))\n\{\n", code, re.M):
        yield m.group(2), m.group(1), m.end(), code.index("\n}", m.end())


def closing(code, at):
    """Where what opens at `at` closes."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([") - (code[i] in ")]")
        if depth == 0:
            return i
    raise ValueError("no )")


def within_lines(code, begin, end):
    """Operators, constants and codes: (operator, start, end, text)"""
    part = code[begin:end]

    def found(name, pattern, change):
        for m in re.finditer(pattern, part):
            new = change(m.group(0))
            if new is not None:
                yield name, begin + m.start(), begin + m.end(), new

    def number(word):
        line = code[:begin + at.start()].rpartition("\n")[2]
        if NO_NUMBER.match(line) or line.lstrip().startswith("case"):
            return []
        digits, tail = re.match(r"(0x[0-9a-fA-F]+|\d+)(\w*)", word).groups()
        value = int(digits, 8 if re.match("0[0-7]", digits) else 0)
        if value >= 1000:
            return []  # how large, how long
        return {f"{value + 1}{tail}", f"{max(value - 1, 0)}{tail}"}

    ops = "|".join(re.escape(o) for o in sorted(OPPOSITE, key=len, reverse=True)
                   if not o[0].isalpha() and o not in ("++", "--"))
    yield from found("operator", rf"(?<=\s)(?:{ops})(?=\s)", OPPOSITE.get)
    yield from found("operator", r"\+\+|--", OPPOSITE.get)
    yield from found("boolean", r"\b(?:true|false)\b", OPPOSITE.get)
    yield from found("code", r"\bAZR_E[A-Z]+\b", lambda c:
                     "AZR_EINVAL" if c == "AZR_EIO" else "AZR_EIO")
    for at in re.finditer(r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d+)[uUlL]*\b", part):
        for new in sorted(number(at.group(0))):
            if new != at.group(0):
                yield "constant", begin + at.start(), begin + at.end(), new
    for at in re.finditer(r"\b(?:if|while) \(", part):
        first = begin + at.end() - 1
        last = closing(code, first) + 1
        yield "condition", first, last, "(!{})"
        yield "condition", first, last, "({} && 0)"
        if part[at.start()] == "i":
            yield "condition", first, last, "({} || 1)"
    for at in re.finditer(r"(?<=\s)\?(?=\s)", part):
        for new in ("&& 0 ?", "|| 1 ?"):
            yield "condition", begin + at.start(), begin + at.end(), new


def statements(code, begin, end):
    """(start, behind its semicolon) of each that is no block."""
    after = "{"
    at = begin
    for line in code[begin:end].splitlines(True):
        first = at + len(line) - len(line.lstrip())
        if line.strip() and after[-1] in "{};:)" or after.endswith(("else", "do")):
            semicolon = code.find(";", first, end)
            brace = code.find("{", first, semicolon)
            word = re.match(r"(?:(?:if|for|while|switch|else|do|case|default)\b|\w+:|[{}])",
                            code[first:end])
            if semicolon > 0 and brace < 0 and not word and line.strip():
                yield first, semicolon + 1
        after = line.strip() or after
        at += len(line)


def of_statements(code, text, kind, begin, end):
    for start, stop in statements(code, begin, end):
        body = code[start:stop]
        result = re.match(r"return (.*);$", body, re.S)
        if result:
            if result.group(1) not in ("0", "AZR_OK", "NULL", "false", "true"):
                yield "return", start, stop, "return 0;"
                if re.match(r"(static )?bool ", kind):
                    yield "return", start, stop, f"return !({text[start + 7:stop - 1]});"
            continue
        call = re.match(r"(?:int )?rc = (?=.*\w\()", body, re.S)
        if call and " ? " not in body:
            yield ("unheard", start, stop, body[:call.end()] +
                   f"((void)({text[start + call.end():stop - 1]}), 0);")
        elif not call and not DECLARES.match(body):
            yield "statement", start, stop, ";"


def in_function(name, text, code, function, kind, begin, end):
    seen = collections.Counter()
    for operator, start, stop, new in sorted(
            [*within_lines(code, begin, end),
             *of_statements(code, text, kind, begin, end)]):
        old = text[start:stop]
        new = new.replace("{}", old)
        new += "\n" * (old.count("\n") - new.count("\n"))  # lines keep their numbers
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", stop)
        was, now = (" ".join(t.split()) for t in (
            text[first:last], text[first:start] + new + text[stop:last]))
        seen[was, now] += 1
        yield Mutant(name, function, text.count("\n", 0, start) + 1, operator,
                     seen[was, now], was, now, start, stop, new)


def mutants(name, text):
    """All, of one file."""
    code = code_of(text)
    for function, kind, begin, end in functions(code):
        yield from in_function(name, text, code, function, kind, begin, end)


def changed(text, mutant):
    return text[:mutant.start] + mutant.text + text[mutant.end:]
