"""pyepics in a process of its own, since ophyd puts its own class in place of pyepics's PV.

    python pyepics_client.py functions|motor PV

Started by test_stock_clients.py; what fails is an assertion with a traceback.
"""

import sys
import threading

import epicscorelibs.path.pyepics  # noqa: F401  the Channel Access library of the other clients

import epics  # isort: skip

DEADLINE_S = 60.0


def functions(name):
    assert epics.caput(name, 321.0, wait=True, timeout=DEADLINE_S) == 1
    assert epics.caget(f"{name}.RBV", timeout=DEADLINE_S) == 321.0
    assert epics.caget(f"{name}.SPMG", as_string=True, timeout=DEADLINE_S) == "Go"
    information = epics.cainfo(name, print_out=False, timeout=DEADLINE_S)
    assert information is not None
    assert "um" in information
    seen = []
    arrived = threading.Event()

    def follow(value=None, **_):
        seen.append(value)
        if value == 400.0:
            arrived.set()

    epics.camonitor(f"{name}.RBV", callback=follow)
    epics.caput(name, 400.0, wait=True, timeout=DEADLINE_S)
    assert arrived.wait(DEADLINE_S)
    epics.camonitor_clear(f"{name}.RBV")
    assert seen[-1] == 400.0


def motor(name):
    axis = epics.Motor(name, timeout=DEADLINE_S)
    assert axis.move(150.0, wait=True, timeout=DEADLINE_S) == 0
    assert axis.get_position(readback=True) == 150.0
    assert axis.within_limits(10000.0)
    assert not axis.within_limits(10001.0)
    assert axis.move(10001.0) == -12  # "value outside limits"
    words = ("retry_max", "retry_count", "missed", "use_encoder", "raw_motor_pos")
    assert [axis.get(word) for word in words] == [3, 0, 0, 1, 1500]
    assert axis.s_speed == axis.slew_speed / axis.u_revolutions


if __name__ == "__main__":
    {"functions": functions, "motor": motor}[sys.argv[1]](sys.argv[2])
