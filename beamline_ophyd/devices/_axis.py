"""A motor record whose moves always end."""

import contextlib
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsMotor, EpicsSignalRO
from ophyd.status import MoveStatus
from ophyd.utils.errors import DisconnectedError

from ._connect import BeamlineConnectionError, not_connected
from ._status import Action, Pending, fail, fail_after, finish

__all__ = ["Axis", "MotionError"]


class MotionError(RuntimeError):
    """A motion that did not reach its target; the message names the PV."""


class Motion(Action, MoveStatus):
    """The status of a move."""

    def _settled(self) -> None:
        # At its end ophyd asks where the motor is; one that is away has failed, with a reason.
        with contextlib.suppress(DisconnectedError):
            super()._settled()


class Axis(EpicsMotor):
    """An EPICS motor record; every move has a time limit and an end that is checked.

    In three ways stricter than ``ophyd.EpicsMotor``, whose signals it has: a move ends
    within a limit derived from its distance and speed, or fails; it fails at once when the
    motor's PV disconnects; and a motor that comes to rest away from its target (stopped by
    somebody, or by a limit) has failed.

    It also avoids that class's hang: there, ending one move removes every subscription for
    the end of a move, the next one's too when the plan was quick to start it.

    Attributes
    ----------
    time_margin : float
        Seconds granted to every move beyond twice the time its speed asks for.
    """

    deadband = Cpt(EpicsSignalRO, ".RDBD", kind="omitted", auto_monitor=True)

    time_margin = 5.0

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._pending = Pending[Motion](self.motor_done_move)

    def time_limit(self, position: float) -> float:
        """Seconds within which a move to `position`, in the axis's units, must end."""
        speed = abs(float(self.velocity.get()))
        travel = abs(position - float(self.user_readback.get())) / speed if speed else 0.0
        return 2 * (travel + 2 * float(self.acceleration.get())) + self.time_margin

    def move(  # pyright: ignore[reportIncompatibleMethodOverride] (does not wait by default)
        self,
        position: float,
        wait: bool = False,
        moved_cb: Any = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        """Start a move.

        Parameters
        ----------
        position : float
            Target in the axis's units.
        wait : bool
            Return only when the move has ended.
        timeout : float, optional
            Seconds until the move has failed; by default the axis's own ``timeout``, and
            without one a limit derived from the distance and the speed.

        Raises
        ------
        LimitError
            When the target lies outside the soft limits.
        BeamlineConnectionError
            When the motor's PVs are not connected.
        """
        if not self.connected:
            raise BeamlineConnectionError(not_connected(self))
        self.check_value(position)
        if timeout is None:
            timeout = self.timeout if self.timeout is not None else self.time_limit(position)
        status = Motion(self, position, settle_time=self.settle_time)
        if moved_cb is not None:
            status.add_callback(lambda s: moved_cb(s, obj=self))
        fail_after(status, timeout, lambda: self._late(position, timeout))
        self._started_moving = False
        self._pending.begin(
            status, MotionError(f"{self._who} was sent elsewhere before it arrived")
        )
        self.user_setpoint.put(position, wait=False)
        if wait:
            status.wait()
        return status

    def stop(self, *, success: bool = False) -> None:
        """Stop the motor and end the move under way: failed, unless `success`.

        With `success` it counts as done wherever the motor is; a RunEngine that pauses stops
        what moves in this way, and asks for the move again when it resumes.
        """
        status = self._pending.take()
        if self.connected:
            self.motor_stop.put(1, wait=False)
        if status is None:
            return
        if success:
            finish(status)
        else:
            fail(status, self._failure(status.target))

    def _done_moving(
        self, success: bool = True, timestamp: Any = None, value: Any = None, **_: Any
    ) -> None:
        # Called by EpicsMotor when DMOV rises. The readback was posted before it, but a server that
        # has many subscriptions sends them from several queues, one of which may be late.
        if success:
            self._run_subs(sub_type=self.SUB_DONE, timestamp=timestamp, value=value)
            status = self._pending.current
            if status is not None and not self._at(status.target) and self._moves_again():
                return  # the end of an earlier motion, told late
        status = self._pending.take()
        if status is None or status.done:
            return
        if success and self._at(status.target):
            finish(status)
        else:
            fail(status, self._failure(status.target))

    def _moves_again(self) -> bool:
        try:
            return self.motor_done_move.get(use_monitor=False) == 0
        except Exception:  # ophyd's, pyepics's or libca's: there is no answer
            return False

    def _at(self, target: float) -> bool:
        tolerance = max(float(self.deadband.get()), 10.0 ** -(self.precision or 0))
        if abs(float(self.position or 0.0) - target) > tolerance:
            self._ask_position()
        return abs(float(self.position or 0.0) - target) <= tolerance

    def _ask_position(self) -> None:
        with contextlib.suppress(Exception):  # as above
            self._set_position(self.user_readback.get(use_monitor=False))

    @property
    def _who(self) -> str:
        return f"{self.name} ({self.prefix})"

    def _failure(self, target: float) -> MotionError:
        where = f"came to rest at {self.position:g} {self.egu}, not at {target:g}"
        if self.high_limit_switch.get() or self.low_limit_switch.get():
            return MotionError(f"{self._who} hit a limit switch: it {where}; move it off")
        severity = self.user_readback.alarm_severity
        if severity:
            return MotionError(
                f"{self._who} {where}, with alarm {self.user_readback.alarm_status!s} of "
                f"severity {severity!s}"
            )
        return MotionError(f"{self._who} {where}; somebody or something stopped it")

    def _late(self, target: float, limit_s: float) -> MotionError:
        where = f"it stands at {self.position:g} {self.egu}" if self.connected else "its PV is away"
        return MotionError(f"{self._who} did not reach {target:g} within {limit_s:.1f} s; {where}")
