"""Steps of a scan that end in time, or fail with the device's name.

bluesky waits for ever by default, and some devices never end a motion or a trigger when
their server dies. Every wait here has a limit that follows from the device's own speed.

What a scan does at every point is written as messages, not with bluesky's plan stubs: each
call of a stub formats the whole stack for its warnings, a fifth of the time of a fast point.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bluesky.protocols import Movable
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

__all__ = [
    "DeviceError",
    "failures_in_words",
    "in_words",
    "is_nameless",
    "move",
    "move_together",
    "pv_of",
    "wait_for",
]

MARGIN_S = 10.0


class DeviceError(RuntimeError):
    """A device that did not do in time what a plan asked of it."""


def move(device: Movable, target: Any, limit_s: float) -> MsgGenerator[None]:
    """Set a device and wait until it is there, at most `limit_s` seconds.

    Raises
    ------
    DeviceError
        Names the device, its PV and the target.
    """
    group = short_uid("move")
    with in_words([device], f"go to {target}", limit_s):
        yield Msg("set", device, target, group=group)
        yield wait_for(group, limit_s)


def move_together(targets: Sequence[tuple[Movable, Any, float]]) -> MsgGenerator[None]:
    """Set devices at once and wait until all are there, each with its limit in seconds.

    Raises
    ------
    DeviceError
        Names the device that did not arrive, its PV and its target.
    """
    groups = []
    for device, target, limit_s in targets:
        groups.append((short_uid("move"), device, target, limit_s))
        with in_words([device], f"go to {target}", limit_s):
            yield Msg("set", device, target, group=groups[-1][0])
    for group, device, target, limit_s in sorted(groups, key=lambda item: item[-1]):
        with in_words([device], f"go to {target}", limit_s):
            yield wait_for(group, limit_s)


def wait_for(group: str, limit_s: float) -> Msg:
    """Return the message that waits for a group, at most `limit_s` seconds."""
    return Msg("wait", None, group=group, timeout=limit_s, error_on_timeout=True, watch=())


@contextmanager
def in_words(devices: Sequence[Any], action: str, limit_s: float) -> Iterator[None]:
    """Around an action's messages, its waiting included: what fails is said in one sentence.

    A status that fails is thrown at whatever message the plan has got to, not only at the
    one that waits for it.
    """
    try:
        yield
    except TimeoutError as error:
        raise DeviceError(
            f"{_names(devices)} did not {action} within {limit_s:.1f} s ({error}); see whether "
            "its server still runs"
        ) from error
    except FailedStatus as failure:
        cause = failure.__cause__ or failure
        raise DeviceError(f"{_names(devices)} failed to {action}: {cause}") from failure
    except Exception as error:
        if not is_nameless(error):
            raise
        raise DeviceError(f"{_names(devices)} failed to {action}: {error}") from error


def is_nameless(error: Exception) -> bool:
    """Whether an error is pyepics's own, which does not say whose it is."""
    return type(error).__module__.partition(".")[0] == "epics"


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Around a whole scan: what failed while nobody waited for it is said in one sentence."""
    try:
        yield
    except FailedStatus as failure:
        raise DeviceError(str(failure.__cause__ or failure)) from failure


def pv_of(device: Any) -> str | None:
    """The PV behind a device, where one is to be found."""
    for attribute in ("user_setpoint", "user_readback", "setpoint", "readback", "count"):
        inner = getattr(device, attribute, None)
        if (name := getattr(inner, "pvname", None) or getattr(inner, "source", None)) is not None:
            return str(name)
    return getattr(device, "pvname", None) or getattr(device, "prefix", None) or None


def _names(devices: Sequence[Any]) -> str:
    return ", ".join(
        f"{device.name} ({pv})" if (pv := pv_of(device)) else device.name for device in devices
    )
