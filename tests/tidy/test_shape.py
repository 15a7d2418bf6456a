"""Files and functions that fit a reader: their size, their width, how they open, what they must not carry."""

import ast
import re

import pytest

from tree import ROOT, blank, files, functions, text

LINES_MAX, FUNCTION_MAX, COLUMNS_MAX = 600, 70, 110
CODE = files("*.h", "*.cc", under=("src", "fuzz", "bench", "tests/sim"))
HEADERS = files("*.h")


def listing(problems):
    return "\n" + "\n".join(problems)


def test_no_file_is_too_long_to_hold_in_mind():
    long = [f"{path}: {count} lines" for path in CODE
            if (count := text(path).count("\n")) > LINES_MAX]
    assert not long, f"split by noun (at most {LINES_MAX} lines):" + listing(long)


TABLE_ROW = re.compile(r"^\s*case [^:]+(::[^:]+)*:\s*return [^;]*;", re.M)


def long_functions(source):
    """Functions past the limit, as (line, lines, head). What counts is code: not blank lines, comments or the inside
    of a literal, and not `case A: return B;`, which is a row of a table."""
    lines = blank(source).splitlines()
    for first, last, head in functions(source):
        code = TABLE_ROW.sub("", "\n".join(lines[first - 1:last]))
        count = sum(bool(line.strip()) for line in code.splitlines())
        if count > FUNCTION_MAX:
            yield first, count, head


def test_functions_fit_a_screen():
    long = [f"{path}:{first}: {count} lines: {head[:80]}"
            for path in CODE for first, count, head in long_functions(text(path))]
    assert not long, f"at most {FUNCTION_MAX} lines:" + listing(long)


def test_a_long_function_is_noticed_and_a_table_is_not_one():
    assert list(long_functions("int f() {\n" + "    go();\n" * FUNCTION_MAX + "}\n"))
    assert not list(long_functions("int f(E e) {\n" + "    case E::a:\n        return 1;\n" * 100 + "}\n"))


def test_lines_fit_the_column():
    wide = [f"{path}:{number}: {len(line)} columns" for path in CODE
            for number, line in enumerate(text(path).splitlines(), 1) if len(line) > COLUMNS_MAX]
    assert not wide, listing(wide)


def test_a_header_opens_with_what_it_is_for():
    bad = [str(path) for path in HEADERS if not text(path).startswith("// ")]
    assert not bad, "a header begins with a comment a user can rely on:" + listing(bad)


def test_a_header_is_read_once():
    bad = [str(path) for path in HEADERS if "#pragma once\n" not in text(path)]
    assert not bad, listing(bad)


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    found = [f"{path}:{number}: {line.strip()[:80]}"
             for path in files("*.h", "*.cc", "*.py", "*.md", "*.txt", "*.cmake", "dev", "*.toml",
                               under=("src", "fuzz", "bench", "tests", "docs", "examples", "packaging", "cmake", "*.md",
                                      "dev", "CMakeLists.txt"))
             for number, line in enumerate(text(path).splitlines(), 1) if marks.search(line)]
    assert not found, listing(found)


def test_links_of_the_documentation_lead_somewhere():
    dead = [f"{path}: {target}" for path in files("*.md", under=("*.md", "docs", "examples"))
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(path))
            if not (ROOT / path.parent / target).exists()]
    assert not dead, listing(dead)


SLEEPS = [(re.compile(r"\bsleep_for\(\s*(?:std::chrono::)?(?:seconds\(|seconds\{)?\s*([0-9.]+)\s*(?:s\b|[)}])"), 1.0),
          (re.compile(r"\bsleep_for\(\s*(?:std::chrono::)?(?:milliseconds[({])?\s*([0-9.]+)\s*(?:ms\b)"), 0.001),
          (re.compile(r"\bsleep_for\(\s*(?:std::chrono::)?milliseconds[({]\s*([0-9.]+)"), 0.001),
          (re.compile(r"(?<![\w.\"'])sleep\(\s*([0-9.]+)\s*\)"), 1.0),
          (re.compile(r"\busleep\(\s*([0-9]+)"), 1e-6)]


def slept(line):
    """Seconds a line of a C++ test sleeps for a fixed time; 0 when it does not."""
    return max([float(match[1]) * unit for pattern, unit in SLEEPS if (match := pattern.search(line))], default=0)


def sleeps(source):
    """[(line, seconds)] of a Python test's own `time.sleep(NUMBER)`. One in a function inside a function, or in a
    lambda, is a slow peer that the test plays, and waits for nothing."""
    found = []

    def visit(node, depth):
        inner = isinstance(node, (ast.FunctionDef, ast.Lambda))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep" and depth < 2 \
                and isinstance(node.args[0], ast.Constant):
            found.append((node.lineno, node.args[0].value))
        for child in ast.iter_child_nodes(node):
            visit(child, depth + inner)

    visit(ast.parse(source), 0)
    return found


def test_tests_wait_for_conditions_and_do_not_sleep():
    long = [f"{path}:{number}: {line.strip()}" for path in files("*_test.cc")
            for number, line in enumerate(text(path).splitlines(), 1) if slept(line) >= 0.5]
    long += [f"{path}:{number}: {seconds} s" for path in files("*.py", under=("tests",))
             for number, seconds in sleeps(text(path)) if seconds >= 0.5]
    assert not long, "wait for what must happen, not for a time:" + listing(long)


@pytest.mark.parametrize("line, seconds", [
    ("std::this_thread::sleep_for(500ms);", 0.5), ("sleep_for(std::chrono::milliseconds(20));", 0.02),
    ("sleep_for(std::chrono::seconds(3));", 3), ("usleep(600000);", 0.6), ("sleep(1);", 1), ("wait_until(ready)", 0)])
def test_a_sleep_is_measured(line, seconds):
    assert slept(line) == pytest.approx(seconds)


def test_a_sleep_of_a_test_is_told_from_one_of_a_peer_it_plays():
    assert sleeps("def test_x():\n    time.sleep(2)\n") == [(2, 2)]
    assert sleeps("def test_x():\n    def serve():\n        time.sleep(2)\n    peer = lambda: time.sleep(3)\n") == []


SAMPLE = '''// One {
#define BODY {
namespace a::b {
struct Point { int x = 0; int size() const { return 1; } };
enum class E { one, two };
constexpr int table[] = {1, 2, 3};
std::vector<int> start{f(1), 2};

template <class T>
auto named(std::string_view text, int n = 3)
    -> Result<T> {
    const char* brace = "}}{";
    char quote = '{';
    for (int i = 0; i < 1'000; ++i) {
        run([&] { return R"({{{)"; });
    }
    return {};
}

Point::Point(int x) : x_(x), y_{2} {
    go();
}
bool operator==(const Point& a, const Point& b) { return a.x == b.x; }
extern "C" int main() {
    return 0;
}
inline int f(int a, Options options = {}) {
    return a;
}
}  // namespace a::b
'''


def test_functions_are_found_with_their_first_and_last_line():
    found = [(first, last) for first, last, _ in functions(SAMPLE)]
    assert found[0] == (4, 4)
    assert (9, 18) in found, found
    assert (20, 22) in found and (23, 23) in found and (24, 26) in found and (27, 29) in found, found
    assert not [one for one in found if one[0] in (5, 6)], found


def without_braces(source):
    """Lines of an `if`, `else`, `for` or `while` whose statement stands on a line of its own, without braces."""
    source = blank(source)
    for match in re.finditer(r"\b(if|for|while|else)\b(?:\s+constexpr)?", source):
        at = match.end()
        if match[1] != "else":
            at = source.find("(", at)
            depth = 0
            while at < len(source):
                depth += (source[at] == "(") - (source[at] == ")")
                at += 1
                if depth == 0:
                    break
        gap = re.match(r"\s*", source[at:])[0]
        statement = source[at + len(gap):at + len(gap) + 2]
        if "\n" in gap and statement[:1] not in ("{", ";") and statement != "":
            yield source.count("\n", 0, match.start()) + 1


def test_what_stands_on_its_own_line_stands_in_braces():
    bare = [f"{path}:{line}" for path in CODE for line in without_braces(text(path))]
    assert not bare, "`if (x) return y;` on one line, or braces:" + listing(bare)


def test_a_missing_brace_is_noticed():
    assert list(without_braces("void f() {\n    if (a)\n        b();\n}\n")) == [2]
    assert list(without_braces("void f() {\n    for (;;) {\n    }\n    if (a) {\n    } else\n        b();\n}\n")) == [5]
    assert not list(without_braces("void f() {\n    if (a &&\n        b) c();\n    do {\n    } while (d());\n#else\n}\n"))


def test_file_local_code_is_in_an_anonymous_namespace():
    static = [f"{path}:{number}: {line[:60]}" for path in CODE if path.suffix == ".cc"
              for number, line in enumerate(text(path).splitlines(), 1) if re.match(r"static (?!_?assert)", line)]
    assert not static, "file-local code stands in `namespace {`, not behind `static`:" + listing(static)


def test_tests_are_named_by_what_holds():
    tests = [(path, number, line) for path in CODE if path.suffix == ".cc"
             for number, line in enumerate(text(path).splitlines(), 1)]
    camel = [f"{path}:{number}: {line}" for path, number, line in tests
             if re.match(r"TEST(_F|_P)?\(\w+,\s*\w*[A-Z]", line)]
    assert not camel, "TEST(Noun, says_what_holds):" + listing(camel)


def test_a_trailing_comment_breaks_no_declaration():
    """The formatter breaks a line that its comment makes too long: such a comment stands above."""
    broken = [f"{path}:{number}: {line.strip()}" for path in CODE for lines in [text(path).splitlines()]
              for number, (line, after) in enumerate(zip(lines, lines[1:]), 1)
              if re.search(r"[^=!<>]=$|^\s*void$", line) and re.search(r";\s+// ", after)]
    assert not broken, "write the comment above the line:" + listing(broken)
