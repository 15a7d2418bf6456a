"""layers.txt is the law: who may include whom, and where system doors stand."""

import re

import pytest

from tree import ROOT, SRC, files, folder, includes, layers, text

SOURCES = files("*.h", "*.cc")


def broken_rules(allowed, path, source):
    here = folder(path)
    for line, kind, name in includes(source):
        if kind != '"':
            continue
        there = name.rpartition("/")[0] or "."
        if there != here and there not in allowed.get(here, set()):
            yield f"{path}:{line}: {here} may not include {name} (layers.txt lets it see: " \
                  f"{' '.join(sorted(allowed.get(here, set()))) or 'nothing'})"


def test_every_include_stays_within_its_layer():
    allowed = layers()
    broken = [rule for path in SOURCES for rule in broken_rules(allowed, path, text(path))]
    assert not broken, "\n" + "\n".join(broken)


def test_an_include_out_of_its_layer_is_noticed():
    path = files("src/base/*.h")[0]
    assert list(broken_rules(layers(), path, '#include "contract/gateway.h"\n'))
    assert not list(broken_rules(layers(), path, '#include "base/error.h"\n#include <vector>\n'))


def test_every_include_is_named_from_src_and_exists():
    missing = [f"{path}:{line}: no src/{name}" for path in SOURCES
               for line, kind, name in includes(text(path)) if kind == '"' and not (SRC / name).is_file()]
    assert not missing, "\n" + "\n".join(missing)


def test_layers_and_folders_are_the_same_set():
    assert {folder(path) for path in SOURCES} <= set(layers()), "a folder of src/ has no line in layers.txt"
    named = set(layers()).union(*layers().values())
    assert not {name for name in named if not (SRC / name).is_dir()}, "layers.txt names a folder that is not there"


def test_layers_have_no_cycle():
    allowed, done = layers(), set()
    while len(done) < len(allowed):
        ready = {name for name, others in allowed.items() if name not in done and others <= done}
        assert ready, f"these include each other in a circle: {sorted(set(allowed) - done)}"
        done |= ready


def is_pure(name):
    """A core anywhere in the path, a codec, and the layers that are values only."""
    return "core" in name.split("/") or name.split("/")[0] in {"wire", "amqp", "contract", "manifest"}


def test_cores_and_codecs_do_no_io():
    """No event loop, socket, file or thread header in a folder that promises to be pure."""
    door = re.compile(r"^(boost/|sys/(socket|epoll|stat|mman|wait|uio|un)|netinet/|unistd\.h|fcntl\.h|signal\.h|"
                      r"poll\.h|fstream|filesystem|thread|condition_variable|iostream|spdlog/)")
    pure = [path for path in SOURCES if not path.name.endswith("_test.cc") and is_pure(folder(path))]
    broken = [f"{path}:{line}: {name}" for path in pure
              for line, kind, name in includes(text(path)) if kind == "<" and door.match(name)]
    assert not broken, "\n" + "\n".join(broken)


def test_asio_enters_only_where_there_is_a_shell():
    """Asio is costly to compile: shells and io only, and through io/asio.h wherever a header is concerned."""
    shells = {"io", "rpc", "control", "cli", "app", "shell", "runtime", "keeper", "logs"}
    broken = []
    for path in SOURCES:
        for line, kind, name in includes(text(path)):
            if kind == "<" and name.startswith("boost/asio"):
                here = folder(path)
                if is_pure(here) or not set(here.split("/")) & shells and here != "broker/log":
                    broken.append(f"{path}:{line}: {name}")
                elif path.suffix == ".h" and here != "io":
                    broken.append(f"{path}:{line}: {name} (a header includes io/asio.h instead)")
    assert not broken, "\n" + "\n".join(broken)


CLOCK = re.compile(r"\b(system_clock|steady_clock|high_resolution_clock|Clock)::now\s*\(|\bclock_gettime\s*\("
                   r"|\bgettimeofday\s*\(|\b(std::)?time\s*\(\s*(nullptr|NULL|0)\s*\)")


def test_the_clocks_are_read_in_one_place():
    broken = [f"{path}:{number}: {line.strip()}" for path in SOURCES if str(path) != "src/io/clock.h"
              for number, line in enumerate(text(path).splitlines(), 1) if CLOCK.search(line)]
    assert not broken, "read the time through io/clock.h, once per turn:\n" + "\n".join(broken)


@pytest.mark.parametrize("line", ["auto t = Clock::now();", "std::chrono::steady_clock::now()", "time(nullptr)"])
def test_a_read_of_the_clock_is_noticed(line):
    assert CLOCK.search(line)


def test_architecture_has_a_word_for_every_folder():
    told = set()
    for line in text("ARCHITECTURE.md").splitlines():
        if line.startswith("- **"):
            told |= set(re.findall(r"\*\*([a-z0-9_/]+)\*\*", line.split("—")[0]))
    folders = {folder(path) for path in files("*.cc")} - {"."}
    assert not folders - told, f"ARCHITECTURE.md, code map: nothing about {sorted(folders - told)}"
    assert not {name for name in told if not (SRC / name).is_dir()}, "ARCHITECTURE.md tells of a folder that is not there"


def test_every_codec_has_a_fuzz_target_and_every_target_a_corpus():
    targets = files("*_fuzz.cc", under=("fuzz",))
    fuzzed = {name.rpartition("/")[0] for path in targets for _, kind, name in includes(text(path)) if kind == '"'}
    codecs = {folder(path) for path in files("*.cc") if folder(path).startswith("wire/")}
    assert not codecs - fuzzed, f"no fuzz/*_fuzz.cc includes a header of {sorted(codecs - fuzzed)}"
    seedless = [str(path) for path in targets
                if not any((ROOT / "fuzz/corpus" / path.name.removesuffix("_fuzz.cc")).glob("*"))]
    assert not seedless, f"no seeds in fuzz/corpus/ for {seedless}"
