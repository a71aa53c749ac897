"""The configuration of a daemon, and what a reload of it refuses."""

from pathlib import Path

import pytest

from kwsd.bus.curve import ServerKeys, create_key_pair
from kwsd.config.schema import Config, CurveConfig
from kwsd.daemon.setup import Setup
from kwsd.errors import ConfigError


def test_another_server_key_in_the_same_file_is_refused_at_a_reload(tmp_path: Path) -> None:
    secret = create_key_pair(tmp_path, "server")
    create_key_pair(tmp_path / "clients", "listed")
    curve = CurveConfig(server_key=str(secret), clients=str(tmp_path / "clients"))
    setup = Setup(lambda: Config(device="-", address="tcp://127.0.0.1:5555", curve=curve))
    before, in_force = setup.keys, list[ServerKeys | None]()
    setup.reload(in_force.append)
    assert in_force == [before]
    secret.write_bytes(create_key_pair(tmp_path / "other", "server").read_bytes())
    with pytest.raises(ConfigError, match="the server key cannot change while the daemon runs"):
        setup.reload(in_force.append)
    assert in_force == [before]
    assert setup.keys == before
