"""What a hostile peer or another user of the host must not be able to use: rules a machine can hold."""

import re

import pytest

from tree import blank, files, text

SOURCES = [path for path in files("*.h", "*.cc") if not re.search(r"_test(ing)?\.", path.name)]

# Assertions of the code that handles a peer's bytes. Each is about our own state, or about what was checked before.
PEER_FACING = ("src/wire/", "src/amqp/", "src/gateway/")
OWN_STATE = {
    "who sends a body without a length gives its buffer along", "a thread has its epoll", "waiting for events works",
    "every request is counted once", "a thread can be woken", "a short string", "fourteen properties",
    "a channel outlives the body it sends",
}

# Opening without O_NONBLOCK waits for ever at a FIFO; io::open_file never waits. What else opens names no path that
# another user can make.
OPENS = re.compile(r"(?<![\w.>])::open(?:at)?\(|\bfopen\(|std::[io]?fstream\b")
OWN_PATHS = {
    "src/io/file.cc", "src/io/host.cc",          # the one that never waits; /proc and /sys
    "src/broker/log/storage.cc",                 # inside the broker's own folder
    "src/supervisor/shell/data_folder.cc",       # a folder, and files with O_NONBLOCK
    "src/supervisor/logs/foreground.cc",        # a terminal, with O_NONBLOCK
    "src/supervisor/runtime/process_view.cc",      # /proc
    "src/supervisor/keeper/keeper_handover.cc", "src/supervisor/runtime/spawn.cc", "src/cli/verbs/up.cc",   # /dev/null
}


def asserted(source):
    """[(line, message)] of the assertions of a file."""
    return [(source[:match.start()].count("\n") + 1, match[1])
            for match in re.finditer(r"HAVN_ASSERT\((?:[^;]*?),\s*\"([^\"]*)\"\);", source, re.S)]


def opens(source):
    plain = blank(source)
    return [plain[:match.start()].count("\n") + 1 for match in OPENS.finditer(plain)]


def test_no_assertion_depends_on_the_bytes_of_a_peer():
    new = [f"{path}:{line}: {message}" for path in SOURCES if str(path).startswith(PEER_FACING)
           for line, message in asserted(text(path)) if message not in OWN_STATE]
    assert not new, "refuse what a peer sends; an assertion about our own state is listed here:\n" + "\n".join(new)


def test_an_assertion_is_seen():
    assert asserted('a;\nHAVN_ASSERT(size <= room, "the head fits");\n') == [(2, "the head fits")]


def test_no_path_is_opened_that_could_make_us_wait():
    found = [f"{path}:{line}" for path in SOURCES if str(path) not in OWN_PATHS for line in opens(text(path))]
    assert not found, "use io::open_file or io::open_regular:\n" + "\n".join(found)


@pytest.mark.parametrize("source, lines", [
    ("int a = ::open(p, 0);", [1]), ("\nint b = ::openat(f, p, 0);", [2]), ("std::ifstream file(p);", [1]),
    ("Result<> Log::open() {}", []), ('// ::open(p)\nsay("::open(p)");', [])])
def test_an_open_is_seen(source, lines):
    assert opens(source) == lines


def test_json_is_parsed_in_one_place():
    found = [str(path) for path in SOURCES if str(path) != "src/base/json.cc"
             and re.search(r"\bJson::parse\(|\bnlohmann::json::parse\(", blank(text(path)))]
    assert not found, "use parse_json, which throws nothing and bounds the depth:\n" + "\n".join(found)


# What reads numbers of any range on purpose.
OWN_NUMBERS = {"src/base/json.h", "src/base/json_reader.cc", "src/manifest/syntax/tree.cc"}


def test_numbers_in_json_are_read_with_their_range():
    found = [str(path) for path in SOURCES if str(path) not in OWN_NUMBERS
             and re.search(r"\bget<(?:std::)?(?:u?int(?:\d+_t)?|size_t|unsigned|long|\w+Id)>\(\)", blank(text(path)))]
    assert not found, "use integer_of, integer_at or JsonReader; get() cuts a number to size in silence:\n" + "\n".join(found)
