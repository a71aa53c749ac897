"""Runs random command lines of kwsd in random environments until a time has passed, and reports what is wrong.

    .venv/bin/python benchmarks/fuzz.py --minutes 60
    .venv/bin/python benchmarks/fuzz.py --seed 1234         # this case again

Each case has a seed. The exit code is 1 if a case ended with a traceback, with an exit code outside
docs/exit-codes.md, or not at all.
"""

import argparse
import itertools
import shlex
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.fuzz import Case, Playground, run_case

PROGRAM = str(Path(sys.executable).with_name("kwsd"))


def run_seed(seed: int) -> tuple[int, Case, str]:
    """Run the case of a seed in a folder of its own, because cases change files."""
    with tempfile.TemporaryDirectory(prefix="kwsd-", ignore_cleanup_errors=True) as folder:
        playground = Playground(Path(folder))
        case = playground.make_case(seed, PROGRAM)
        return seed, case, run_case(case, playground)


def main() -> None:
    """Run cases, print each failure, and end with exit code 1 if there was one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--seed", type=int, help="run only this case, and show it")
    parser.add_argument("--jobs", type=int, default=2, help="cases at the same time")
    options = parser.parse_args()
    if options.seed is not None:
        _, case, problem = run_seed(options.seed)
        print(case, problem or "all is well", sep="\n")
        sys.exit(bool(problem))
    end_s, failures, count = time.monotonic() + 60 * options.minutes, 0, 0
    seeds = itertools.count(options.first)
    running: set[Future[tuple[int, Case, str]]] = set()
    with ProcessPoolExecutor(options.jobs) as pool:
        while running or time.monotonic() < end_s:
            while len(running) < options.jobs and time.monotonic() < end_s:
                running.add(pool.submit(run_seed, next(seeds)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for seed, case, problem in (future.result() for future in done):
                count += 1
                if problem:
                    failures += 1
                    line = shlex.join(word[:200] for word in case.words).encode(errors="backslashreplace").decode()
                    print(f"seed {seed}: {line}\n  {case[1:]!r}\n  {problem}", flush=True)
    print(f"{count} cases, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
