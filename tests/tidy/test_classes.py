"""Folders and classes that one person can hold in mind: how many modules, data members, and source files."""

import re
from collections import defaultdict

import pytest

from tree import SRC, blank, files, folder, functions, text

MODULES_MAX, MEMBERS_MAX = 15, 20
SOURCES = files("*.h", "*.cc")

CLASS = re.compile(r"\b(class|struct)\s+(?:alignas\([^)]*\)\s*)?([A-Za-z_]\w*)\s*(?:final\s*)?(?::[^:{;][^{;]*)?$")
NO_MEMBER = re.compile(r"^\s*(using|typedef|friend|static|template|enum|class|struct|union|public|private|protected)\b")


def matching_brace(source, at):
    depth = 0
    for end in range(at, len(source)):
        if source[end] == "{":
            depth += 1
        elif source[end] == "}":
            depth -= 1
            if depth == 0:
                return end
    return len(source)


def without(source, opening, closing):
    """What stands outside the given kind of brackets."""
    kept, depth = [], 0
    for char in source:
        if char == opening:
            depth += 1
        if depth == 0:
            kept.append(char)
        if char == closing:
            depth = max(0, depth - 1)
    return "".join(kept)


def declarators(statement):
    """How many data members a statement of a class's body declares: `int a = 1, b;` has two, a function none."""
    statement = re.sub(r"^(\s*(public|private|protected)\s*:(?!:))+", "", statement)
    if not statement.strip() or NO_MEMBER.match(statement):
        return 0
    statement = re.sub(r"\[\[.*?\]\]", "", statement)
    plain = without(without(statement, "<", ">"), "{", "}")
    if "(" in re.split(r"(?<![=!<>])=(?!=)", plain)[0] or "operator" in plain:
        return 0
    return without(without(plain, "(", ")"), "[", "]").count(",") + 1


def members_of(body):
    """The number of data members in the body of a class; types and functions inside it have their own."""
    count, start, at = 0, 0, 0
    while at < len(body):
        char = body[at]
        if char == "{":
            end = matching_brace(body, at)
            head = body[start:at]
            if CLASS.search(head.strip()) or re.search(r"\benum\b", head):
                at = body.find(";", end)
                start = at + 1
            elif "(" in without(head, "<", ">") and "=" not in re.sub(r"operator\S+", "", head):
                at, start = end, end + 1        # a function's body
            else:
                at = end                        # an initialiser: the statement goes on
        elif char == ";":
            count += declarators(body[start:at])
            start = at + 1
        at += 1
    return count


def classes(source):
    """[(line, name, data members)] of every class and struct."""
    source = blank(source)
    found = []
    for match in re.finditer(r"\{", source):
        head = re.split(r"[;{}]", source[:match.start()])[-1]
        head = re.sub(r"template\s*<.*?>\s*(?=class|struct)", "", head, flags=re.S)
        named = CLASS.search(head.strip())
        if named and "(" not in head.split(named[1])[0] and not re.search(r"\benum\b", head):
            body = source[match.start() + 1:matching_brace(source, match.start())]
            found.append((source.count("\n", 0, match.start()) + 1, named[2], members_of(body)))
    return found


def test_no_folder_has_more_modules_than_one_looks_through():
    modules = defaultdict(set)
    for path in SOURCES:
        if not re.search(r"(_test|_testing|_fixture)$", path.stem):
            modules[folder(path)].add(path.stem)
    crowded = [f"src/{name}: {len(stems)} modules" for name, stems in sorted(modules.items())
               if len(stems) > MODULES_MAX]
    assert not crowded, f"split by noun (at most {MODULES_MAX}):\n" + "\n".join(crowded)


def test_no_class_holds_more_than_one_remembers():
    large = [f"{path}:{line}: {name} has {count} data members" for path in SOURCES
             if not re.search(r"_(test|testing|fixture)$", path.stem)
             for line, name, count in classes(text(path)) if count > MEMBERS_MAX]
    assert not large, f"name the parts (at most {MEMBERS_MAX}):\n" + "\n".join(large)


def source_files_of_classes():
    """{(folder, class): source files that define a member of it}."""
    found = defaultdict(set)
    for path in SOURCES:
        if path.suffix != ".cc" or path.stem.endswith("_test"):
            continue
        for _, _, head in functions(text(path)):
            name = re.search(r"([A-Za-z_]\w*)::~?\w+\s*\($", head.split("(")[0].strip() + "(")
            if name and name[1][0].isupper():
                found[folder(path), name[1]].add(path.name)
    return found


def test_a_class_is_in_one_source_file():
    spread = [f"src/{where}: {name} is in {', '.join(sorted(names))}"
              for (where, name), names in sorted(source_files_of_classes().items()) if len(names) > 1]
    assert not spread, "a class that needs two files is two classes:\n" + "\n".join(spread)


@pytest.mark.parametrize("body, count", [
    ("int a; int b = 1, c{2};", 3),
    ("void f(int a, int b); int g() const { return a; } static int h; using X = int;", 0),
    ("std::map<int, std::string> m; std::array<int, 3> a{{1, 2, 3}}; int n[2] = {1, 2};", 3),
    ("struct Inner { int x, y; }; Inner one, two; enum class E { a, b }; public: std::function<void(int)> call;", 3),
    ("bool operator==(const X&) const = default; X() : a(1) {} int a;", 1),
])
def test_data_members_are_counted(body, count):
    assert members_of(body) == count


def test_a_class_is_found_with_what_it_holds():
    source = "namespace a {\nclass X final : public Y<int>, private Z {\n  public:\n    int a;\n    struct I { int b, c; };\n};\n}\n"
    assert classes(source) == [(2, "X", 1), (5, "I", 2)]
