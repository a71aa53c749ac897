"""Checks whether the daemon can publish events, or whether a running daemon publishes them."""

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
"""Maximum wait, in seconds, for the status event that a daemon sends to each new subscriber."""


def check_bus(config: Config) -> tuple[list[Finding], StatusEvent | None]:
    """Check the event address and the daemon, and return the status of a running daemon in addition to the findings."""
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
        return [_check_free_address(config, address, control), skipped("daemon", "not running")], None
    return [_check_published_events(config, address), _check_daemon(status)], status


def _check_free_address(config: Config, address: str, control: str) -> Finding:
    """Check that a daemon could bind the addresses by binding them for a short time."""
    try:
        with (
            Publisher(address, read_server_keys(config.curve) if config.curve else None),
            closing(ControlServer(control)),
        ):
            return ok("events", f"{address} is free")
    except (AddressError, ConfigError) as error:
        return failed("events", error, "kwsd config")


def _check_published_events(config: Config, address: str) -> Finding:
    if config.curve:
        return skipped("events", f"{address}: not checked, because only clients with a key receive events")
    try:
        with Subscription(address) as subscription:
            message = subscription.receive(ANSWER_S)
    except EventError as error:
        return failed("events", error, "kwsd config")
    if message is None:
        no_event = NoEventError(f"no event from {address} within {ANSWER_S:g} s, although a daemon is running")
        return failed("events", no_event, "kwsd config")
    return ok("events", f"received from {address}")


def _check_daemon(status: StatusEvent) -> Finding:
    text = f"{status.state} on {status.source} for {timedelta(seconds=int(status.uptime_s))}, {status.events} events"
    if status.state == "lost":
        return failed("daemon", AudioLostError(f"lost: {status.reason}"), "kwsd devices")
    if status.state == "muted":
        return warning("daemon", text, "kwsd unmute")
    return warning("daemon", f"{text}; {status.reason}") if status.reason else ok("daemon", text)
