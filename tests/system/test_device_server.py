"""The device server as a process: options, ports, start and end."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from p4p.client.thread import Context

from beamline_ophyd.simulator import DeviceServer, DeviceServerError, executable, free_ports

from ..processes import child
from ..pvs import DEADLINE_S
from ..xdi import write_xdi

BAD_OPTIONS = [
    (["--bogus"], "--bogus"),
    (["stray"], "stray"),
    (["--port"], "--port"),
    (["--port", "0"], "--port"),
    (["--port", "65536"], "--port"),
    (["--port", "12x"], "--port"),
    (["--pva-port", "65535"], "--pva-port"),
    (["--port", "5076", "--pva-port", "5075"], "overlap"),
    (["--speed", "0"], "--speed"),
    (["--speed", "nan"], "--speed"),
    (["--seed", "-1"], "--seed"),
    (["--prefix", "a b"], "--prefix"),
    (["--interface", "localhost"], "--interface"),
    (["--interface", "192.0.2.1"], "192.0.2.1"),
    (["--interface", "224.0.0.1"], "--interface"),
    (["--interface", "255.255.255.255"], "--interface"),
    (["--samples", "/nonexistent"], "/nonexistent"),
    (["--sample", "/nonexistent.xdi"], "/nonexistent.xdi"),
]


def run_server(*arguments):
    pva_port, _, port = map(str, free_ports(3, adjacent=True))
    command = [executable(), "--port", port, "--pva-port", pva_port, *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S
    )


@pytest.mark.parametrize(("arguments", "named"), BAD_OPTIONS)
def test_a_bad_option_is_one_line_and_no_server(arguments, named):
    result = run_server(*arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("beamline-ioc: ")
    assert named in result.stderr


@pytest.mark.parametrize(
    "lines",
    [[], ["7000 1.0"], ["7000 nan"] * 20, ["7000 1 spam"] * 20, ["\x00\x01\x02"] * 20],
    ids=["empty", "one point", "nan", "words", "binary"],
)
def test_a_bad_sample_file_is_one_line_that_names_it(tmp_path, lines):
    result = run_server("--sample", str(write_xdi(tmp_path / "bad.xdi", *lines)))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "bad.xdi" in result.stderr


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (socket.SOCK_STREAM, "port"),
        (socket.SOCK_DGRAM, "port"),
        (socket.SOCK_STREAM, "pva_port"),
        (socket.SOCK_DGRAM, "pva_port"),
    ],
    ids=["CA TCP", "CA UDP", "PVA TCP", "PVA UDP"],
)
def test_a_taken_port_is_an_error_that_names_it(kind, option):
    first, second, third, _ = free_ports(4, adjacent=True)
    ports = {"port": first, "pva_port": second}
    udp_of_pva = option == "pva_port" and kind == socket.SOCK_DGRAM
    taken = third if udp_of_pva else ports[option]
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", taken))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        with pytest.raises(DeviceServerError, match=rf"exit code 3: .* port {taken} "):
            DeviceServer(**ports).start()


def test_a_second_server_on_the_same_ports_does_not_start(ioc):
    with pytest.raises(DeviceServerError, match=f"port {ioc.ca_port} "):
        DeviceServer(port=ioc.ca_port, pva_port=ioc.pva_port).start()
    assert ioc.running


def test_the_usual_ports_are_taken_while_they_are_free(monkeypatch):
    port, pva_port, _, *_ = free_ports(3, adjacent=True)
    monkeypatch.setattr("beamline_ophyd.simulator.DEFAULT_PORT", port)
    monkeypatch.setattr("beamline_ophyd.simulator.DEFAULT_PVA_PORT", pva_port)
    with DeviceServer(usual_ports=True) as first:
        assert (first.ca_port, first.pva_port) == (port, pva_port)
        with DeviceServer(usual_ports=True, prefix="SECOND:") as second:
            assert not {second.ca_port, second.pva_port} & {port, pva_port, pva_port + 1}


@pytest.fixture
def pva_ports():
    return free_ports(2, adjacent=True)


@pytest.fixture
def listening_client(pva_ports):
    """A PVAccess client that hears beacons on the broadcast port of a server to come."""
    tcp, udp = pva_ports
    conf = {
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_SERVER_PORT": str(tcp),
        "EPICS_PVA_BROADCAST_PORT": str(udp),
    }
    with Context("pva", conf=conf, useenv=False) as context:
        context.get("none", timeout=0.001, throw=False)  # whoever searches also listens
        deadline = time.monotonic() + DEADLINE_S
        while _can_bind(udp):
            assert time.monotonic() < deadline, "the client does not listen"
        yield context


def _can_bind(udp):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", udp))
        except OSError:
            return False
    return True


def test_the_server_starts_beside_a_client_of_pvaccess(pva_ports, listening_client):
    with DeviceServer(pva_port=pva_ports[0], prefix="BESIDE:"):
        assert listening_client.get("BESIDE:SAMPLE:X", timeout=DEADLINE_S) is not None


def test_the_server_takes_no_udp_port_but_its_own():
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with DeviceServer() as server:
        files = Path(f"/proc/{server.pid}/fd").iterdir()
        sockets = {str(file.readlink()) for file in files}
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        ports = {int(row[1].split(":")[1], 16) for row in rows if f"socket:[{row[9]}]" in sockets}
        taken = {port for port in ports if port < first_of_kernel}
        assert taken == {server.ca_port, server.pva_port + 1}


def test_a_second_server_on_the_same_port_of_pvaccess_does_not_start(pva_ports):
    with (
        DeviceServer(pva_port=pva_ports[0], prefix="ONE:"),
        pytest.raises(DeviceServerError, match=rf"exit code 3: .* port {pva_ports[0]} "),
    ):
        DeviceServer(pva_port=pva_ports[0], prefix="TWO:").start()


def test_the_server_ends_when_its_parent_closes_standard_input():
    pva_port, _, port = free_ports(3, adjacent=True)
    command = [executable(), f"--port={port}", f"--pva-port={pva_port}", "--exit-with-stdin"]
    with child(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith("ready {")
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server(number):
    pva_port, _, port = free_ports(3, adjacent=True)
    command = [executable(), f"--port={port}", f"--pva-port={pva_port}"]
    with child(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready {")
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0


def test_help_and_version_are_answered_on_stdout():
    for option, words in (("--help", "--exit-with-stdin"), ("--version", "beamline-ioc 0")):
        result = run_server(option)
        assert result.returncode == 0
        assert words in result.stdout
        assert result.stderr == ""


def test_a_server_on_all_interfaces_is_reached_by_loopback():
    with DeviceServer(interface="0.0.0.0", prefix="ALL:") as server:
        environment = server.environment
        assert environment["EPICS_CA_ADDR_LIST"] == f"127.0.0.1:{server.ca_port}"
        ask = "epics.caget('ALL:SAMPLE:X.EGU', timeout=30, connection_timeout=30)"
        result = subprocess.run(
            [sys.executable, "-c", f"import epics; print({ask})"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
    assert result.stdout.strip() == "um"


def test_a_program_that_has_imported_ophyd_finds_a_server_that_starts_then():
    program = """
import os

from ophyd import EpicsSignalRO

from beamline_ophyd.simulator import DeviceServer

with DeviceServer(prefix="LATE:") as server:
    os.environ.update(server.environment)
    current = EpicsSignalRO("LATE:RING:CURRENT", name="current")
    current.wait_for_connection(timeout=60)
    print(current.get(timeout=60) > 0)
    current.destroy()
"""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}
    result = subprocess.run(
        [sys.executable, "-c", program], env=bare, capture_output=True, text=True, timeout=150
    )
    assert result.stdout.strip() == "True", result.stderr


def test_the_server_can_be_stopped_twice_and_killed():
    server = DeviceServer(speed=10.0).start()
    with pytest.raises(DeviceServerError, match="already runs"):
        server.start()
    server.kill()
    server.stop()
    assert not server.running
    with pytest.raises(DeviceServerError, match="not started"):
        _ = server.pid


def test_a_server_that_does_not_get_ready_is_ended(tmp_path):
    script = tmp_path / "mute"
    script.write_text("#!/bin/sh\nexec cat\n")
    script.chmod(0o755)
    server = DeviceServer(executable_path=script, deadline_s=0.3)
    with pytest.raises(DeviceServerError, match=r"not ready after 0\.3 s"):
        server.start()
    assert not server.running


def test_a_build_can_be_named_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BEAMLINE_IOC", str(tmp_path / "none"))
    with pytest.raises(DeviceServerError, match="BEAMLINE_IOC"):
        executable()
    (tmp_path / "none").touch()
    assert executable() == tmp_path / "none"


def test_a_probe_reads_a_pv_of_the_server_that_runs(ioc):
    command = [executable(), "--probe", "--prefix", ioc.prefix, "--port"]
    options = {"capture_output": True, "text": True, "timeout": DEADLINE_S}
    answer = subprocess.run([*command, str(ioc.ca_port)], check=True, **options)
    assert answer.stdout.startswith(f"{ioc.prefix}MONO:ENERGY.RBV is ")
    nobody = subprocess.run([*command, str(free_ports(1)[0])], check=False, **options)
    assert nobody.returncode == 1
    assert f"no answer for {ioc.prefix}MONO:ENERGY.RBV" in nobody.stderr
