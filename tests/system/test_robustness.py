"""Many clients at once, and clients that send garbage."""

import contextlib
import random
import socket
import struct

import pytest

from ..ca_wire import HEADER, Client

CLIENTS = 200
ATTACKS = 1000


def test_two_hundred_clients_at_once(ioc, bl):
    bl.put("SAMPLE:X", 0.0)
    clients = []
    try:
        clients.extend(Client(ioc.ca_port, f"{ioc.prefix}SAMPLE:X.RBV") for _ in range(CLIENTS))
        for client in clients:
            client.ask()
        assert [client.answer() for client in clients] == [0.0] * CLIENTS
        assert [client.follow() for client in clients] == [0.0] * CLIENTS
        bl.put("SAMPLE:X", 500.0)
        bl.put("SCALER.CNT", 1)
        for client in clients:
            while client.told() != 500.0:
                pass
    finally:
        for client in clients:
            client.close()
    assert bl.get("SCALER.S2") > 0


def garbage(dice):
    """Noise, or a header of Channel Access or PVAccess whose size and fields lie."""
    noise = dice.randbytes(dice.randrange(1, 1200))
    kind = dice.randrange(3)
    if kind == 0:
        return noise
    if kind == 1:
        words = (dice.randrange(0, 30), *(dice.choice([0, 1, 16, 0xFFFF]) for _ in range(3)))
        return HEADER.pack(*words, dice.getrandbits(32), dice.getrandbits(32)) + noise
    command, flags = dice.randrange(0, 24), dice.choice([0, 0x40, 0x80, 0xC0])
    return struct.pack(">BBBBI", 0xCA, 2, flags, command, dice.getrandbits(32)) + noise


@pytest.mark.slow("a thousand connections")
def test_garbage_hurts_neither_the_server_nor_its_other_clients(start_ioc):
    server = start_ioc(prefix="TOUGH:", speed=200.0)
    pid = server.pid
    dice = random.Random(20260)
    bystander = Client(server.ca_port, "TOUGH:SAMPLE:X.RBV")
    assert bystander.get() == 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(ATTACKS):
            port = (server.ca_port, server.pva_port + 1)[number % 2]
            sender.sendto(garbage(dice), ("127.0.0.1", port))
    for number in range(ATTACKS):
        port = (server.ca_port, server.pva_port)[number % 2]
        # The server may close while we still talk, which is its right.
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", port), timeout=60) as victim,
        ):
            victim.sendall(garbage(dice))
    assert bystander.get() == 0.0
    newcomer = Client(server.ca_port, "TOUGH:MONO:ENERGY.RBV")
    assert newcomer.get() == pytest.approx(7000.0, abs=0.01)
    assert (server.running, server.pid) == (True, pid)
    bystander.close()
    newcomer.close()
