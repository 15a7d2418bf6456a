"""The source tree as the tidy tests see it: files, includes, and where functions begin and end."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"


def files(*patterns, under=("src",)):
    """Files git knows or would add (nothing ignored), as paths relative to the root."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "--", *under],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    paths = sorted({Path(name) for name in listed if name})
    return [path for path in paths
            if (ROOT / path).is_file() and any(path.match(pattern) for pattern in patterns)]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def folder(path):
    """The layer a file of src/ belongs to: 'gateway/core'; '.' for src/ itself."""
    return str(path.parent.relative_to("src"))


def layers():
    """layers.txt: {folder: set of folders it may include}. `a/b/*` stands for a/b and every layer below it."""
    lines = [line.split("#")[0].strip() for line in text("layers.txt").splitlines()]
    listed = {name.strip(): others.split() for name, colon, others in (line.partition(":") for line in lines) if colon}
    allowed = {}
    for folder_name, others in listed.items():
        allowed[folder_name] = set()
        for other in others:
            prefix = other.removesuffix("/*")
            below = {name for name in listed if name == prefix or name.startswith(prefix + "/")}
            allowed[folder_name] |= below - {folder_name} if other != prefix else {other}
    return allowed


def includes(source):
    """What `#include "…"` and `#include <…>` name, with line numbers: [(line, '"' or '<', name)]."""
    found = []
    for number, line in enumerate(source.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            found.append((number, match[1], match[2]))
    return found


def blank(source):
    """The source with comments, literals and preprocessor lines blanked; lines keep their numbers."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match[0])
    pattern = (r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
               r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*")
    return re.sub(pattern, spaces, source, flags=re.S | re.M)


MEMBER = re.compile(r"\)[\w\s]*:[^:].*\w$", re.S)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|^\s*extern\s*$")


def opens_function(head):
    """Has a parameter list, and is no namespace, type or initialised variable."""
    if "(" not in head or re.match(r"\s*(namespace|enum)\b", head):
        return False
    outside = re.sub(r"\(.*\)|operator\S+", "", head, flags=re.S)
    return not re.search(r"(?<![=!<>])=(?!=)", outside)


def functions(source):
    """[(first line, last line, head)] of the functions defined at namespace or class scope.

    What precedes a brace, back to the last `;`, `{` or `}`, says what it opens. Braces inside a function
    belong to that function.
    """
    source = blank(source)
    found, stack, start, line = [], [], 0, 1
    for at, char in enumerate(source):
        if char == "\n":
            line += 1
        elif char == "{":
            if stack and stack[-1] != "scope":
                stack.append("inner")
                continue
            head = source[start:at]
            if head.count("(") > head.count(")") or MEMBER.search(head):    # inside a head: `= {}`, `: x_{1}`
                stack.append("argument")
                continue
            if opens_function(head):
                stack.append(line - head.lstrip().count("\n"))
                heading = " ".join(head.split())
            elif SCOPE.search(head):
                stack.append("scope")
            else:
                stack.append("inner")
            start = at + 1
        elif char == "}":
            opened = stack.pop() if stack else "inner"
            if isinstance(opened, int):
                found.append((opened, line, heading))
            if opened != "argument" and (not stack or stack[-1] == "scope"):
                start = at + 1
        elif char == ";" and (not stack or stack[-1] == "scope"):
            start = at + 1
    return found
