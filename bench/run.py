"""Havn beside the tools it replaces, started in the same run on the same cores, in turns.

    ./dev bench [gateway] [queue] [supervisor]        --skip NAME leaves a peer (or havn) out
    ./dev bench --against FILE                        this build beside another binary of Havn, and nothing else

Prints medians and ratios and writes build/bench/NAME.json. Ratios count: absolute figures belong to the machine.
"""

import argparse
import importlib
import os
import resource
import sys
import time
from pathlib import Path

NAMES = ("gateway", "queue", "supervisor")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(NAMES) + " (default: all)")
    parser.add_argument("--skip", action="append", default=[], metavar="PEER")
    parser.add_argument("--against", metavar="FILE", type=Path, help="another binary of Havn: what a change costs")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {' '.join(sorted(unknown))}: {' '.join(NAMES)}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    if options.against:
        if not os.access(options.against, os.X_OK):
            parser.error(f"--against {options.against}: not a program")
        import bench_against
        return bench_against.run(options.against.resolve(), options.names or NAMES)
    for name in options.names or NAMES:
        started = time.monotonic()
        print(f"==> {name}", flush=True)
        importlib.import_module(f"bench_{name}").run(skip=tuple(options.skip))
        print(f"  took {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
