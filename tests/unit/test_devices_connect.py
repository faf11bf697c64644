import pytest
from ophyd import Device

from beamline_ophyd.devices import BeamlineConnectionError, connect, searched_places
from beamline_ophyd.devices._connect import not_connected, use_loopback_by_default

VARIABLES = (
    "EPICS_CA_ADDR_LIST",
    "EPICS_CA_AUTO_ADDR_LIST",
    "EPICS_CA_NAME_SERVERS",
    "EPICS_CA_SERVER_PORT",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in (*VARIABLES, "DEVICE_HOST", "DEVICE_PORT"):
        # Set before it is taken away, so that what the call sets does not outlive the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "searched"),
    [
        ({}, "127.0.0.1:5064"),
        ({"DEVICE_HOST": "10.0.0.5", "DEVICE_PORT": "7000"}, "10.0.0.5:7000"),
        ({"DEVICE_PORT": "7000", "EPICS_CA_SERVER_PORT": "9"}, "127.0.0.1:7000"),
        ({"EPICS_CA_SERVER_PORT": "9"}, "127.0.0.1:9"),
        (
            {"EPICS_CA_ADDR_LIST": "10.0.0.5 10.0.0.6:7000"},
            "10.0.0.5:5064 and 10.0.0.6:7000 and port 5064 of all local networks",
        ),
        ({"EPICS_CA_ADDR_LIST": "", "EPICS_CA_AUTO_ADDR_LIST": "NO"}, "nowhere"),
    ],
)
def test_what_does_not_answer_says_where_it_was_looked_for(monkeypatch, environment, searched):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    use_loopback_by_default()
    assert f"searched {searched}. " in not_connected()


@pytest.mark.parametrize(
    ("environment", "searched"),
    [
        ({}, "127.0.0.1:5064 and port 5064 of all local networks"),
        ({"EPICS_CA_AUTO_ADDR_LIST": "NO"}, "127.0.0.1:5064"),
        ({"DEVICE_HOST": "10.0.0.5"}, "10.0.0.5:5064"),
        ({"EPICS_CA_ADDR_LIST": "10.0.0.5", "EPICS_CA_AUTO_ADDR_LIST": "NO"}, "10.0.0.5:5064"),
    ],
)
def test_a_real_beamline_is_looked_for_as_epics_does(monkeypatch, environment, searched):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    use_loopback_by_default(networks=True)
    assert f"searched {searched}. " in not_connected()


def test_one_server_is_at_one_place_however_it_is_named(monkeypatch):
    """By which two sessions on one beamline know that they are."""
    monkeypatch.setenv("DEVICE_PORT", "7000")
    use_loopback_by_default()
    assert searched_places() == ["127.0.0.1:7000"]
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "localhost")
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "7000")
    assert searched_places() == ["127.0.0.1:7000"]
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "")
    monkeypatch.setenv("EPICS_CA_NAME_SERVERS", "127.0.0.1:7000")
    assert searched_places() == ["127.0.0.1:7000"]
    monkeypatch.setenv("EPICS_CA_NAME_SERVERS", "127.0.0.1")
    monkeypatch.setenv("EPICS_CA_SERVER_PORT", "7001")
    assert searched_places() == ["127.0.0.1:7001"]


class LateLook(Device):
    """A device whose last look at its signals was before they came, as on a starved machine."""

    there = True

    @property
    def connected(self):
        return self.there

    def wait_for_connection(self, all_signals=False, timeout=0.0):
        raise TimeoutError


def test_what_came_at_the_last_moment_is_connected():
    device = LateLook("", name="late")
    connect(device)
    device.there = False
    with pytest.raises(BeamlineConnectionError, match="no answer for late; searched"):
        connect(device)
