"""The bus: whether events can be published, and whether a daemon does."""

import shutil
from contextlib import closing
from datetime import timedelta

from kwsd.bus.address import SET_ADDRESS_COMMAND, control_address, default_address
from kwsd.bus.client import Subscription
from kwsd.bus.control import ControlServer, send_request
from kwsd.bus.curve import read_server_keys
from kwsd.bus.events import StatusEvent
from kwsd.bus.publisher import Publisher
from kwsd.check.finding import Finding, as_root, failed, ok, skipped, warning
from kwsd.config.schema import Config
from kwsd.errors import AddressError, AudioLostError, ConfigError, ControlError, EventError, NoEventError

ANSWER_S = 5.0
"""Longest wait for the status that answers a subscription."""


def bus(config: Config) -> tuple[list[Finding], StatusEvent | None]:
    """Findings, and the status of a daemon that is running."""
    try:
        address = config.address or default_address()
        control = config.control or control_address(address)
    except AddressError as error:
        lingering = as_root("loginctl enable-linger $USER")
        return [failed("events", error, lingering if shutil.which("loginctl") else SET_ADDRESS_COMMAND)], None
    try:
        status = send_request("status", control)
    except AddressError as error:
        return [failed("events", error, "kwsd config")], None
    except ControlError:
        return [_free(config, address, control), skipped("daemon", "none is running")], None
    return [_published(config, address), _daemon(status)], status


def _free(config: Config, address: str, control: str) -> Finding:
    """Whether a daemon could publish there: for a moment, one does."""
    try:
        with (
            Publisher(address, read_server_keys(config.curve) if config.curve else None),
            closing(ControlServer(control)),
        ):
            return ok("events", f"{address} is free")
    except (AddressError, ConfigError) as error:
        return failed("events", error, "kwsd config")


def _published(config: Config, address: str) -> Finding:
    if config.curve:
        return skipped("events", f"{address}: only clients with a key can tell")
    try:
        with Subscription(address) as subscription:
            message = subscription.receive(ANSWER_S)
    except EventError as error:
        return failed("events", error, "kwsd config")
    if message is None:
        silence = NoEventError(f"nothing comes from {address} within {ANSWER_S:g} s, though a kwsd is running")
        return failed("events", silence, "kwsd config")
    return ok("events", f"come from {address}")


def _daemon(status: StatusEvent) -> Finding:
    text = f"{status.state} on {status.source} for {timedelta(seconds=int(status.uptime_s))}, {status.events} events"
    if status.state == "lost":
        return failed("daemon", AudioLostError(f"lost: {status.reason}"), "kwsd devices")
    if status.state == "muted":
        return warning("daemon", text, "kwsd unmute")
    return warning("daemon", f"{text}; {status.reason}") if status.reason else ok("daemon", text)
