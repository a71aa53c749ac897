"""Random command lines in random environments. ``benchmarks/fuzz.py`` runs many more of them."""

import sys
from pathlib import Path

import pytest
from helpers.fuzz import Playground, run_case

pytestmark = [pytest.mark.program, pytest.mark.slow]


@pytest.mark.parametrize("seed", range(40))
def test_a_random_command_line_ends_with_a_known_exit_code_and_no_traceback(runtime: Path, seed: int) -> None:
    playground = Playground(runtime)
    case = playground.make_case(seed, str(Path(sys.executable).with_name("kwsd")))
    assert run_case(case, playground) == "", case
