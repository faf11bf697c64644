"""Channel Access by its own bytes: many independent clients in one process, each a circuit.

After the protocol's specification, https://docs.epics-controls.org/en/latest/internal/ca_protocol.html
"""

import socket
import struct

HEADER = struct.Struct(">HHHHII")
VERSION, EVENT_ADD, READ_NOTIFY, CREATE_CHAN = 0, 1, 15, 18
DOUBLE = 6
VALUE = 1  # the mask of monitors that tell a change of the value


class Client:
    """One circuit with one channel."""

    def __init__(self, port, pv, deadline_s=60.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=deadline_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._send(VERSION, count=13)
        name = pv.encode() + b"\0"
        self._send(CREATE_CHAN, name + b"\0" * (-len(name) % 8), first=1, second=13)
        self._channel = None

    def ask(self, times=1):
        """Send requests for the value, without waiting for answers."""
        self._open()
        one = HEADER.pack(READ_NOTIFY, 0, DOUBLE, 1, self._channel, 7)
        self._socket.sendall(one * times)

    def answer(self):
        """The value that the server answers to a request."""
        return self._until(READ_NOTIFY)

    def get(self):
        self.ask()
        return self.answer()

    def follow(self):
        """Subscribe, and return the value at the begin."""
        self._open()
        mask = struct.pack(">fffHH", 0.0, 0.0, 0.0, VALUE, 0)
        self._send(EVENT_ADD, mask, kind=DOUBLE, count=1, first=self._channel, second=7)
        return self.told()

    def told(self):
        """The next value of the subscription."""
        return self._until(EVENT_ADD)

    def close(self):
        self._socket.close()

    def _open(self):
        while self._channel is None:
            command, second, _ = self._message()
            if command == CREATE_CHAN:
                self._channel = second

    def _until(self, wanted):
        while True:
            command, _, payload = self._message()
            if command == wanted:
                return struct.unpack(">d", payload[:8])[0]

    def _send(self, command, payload=b"", *, kind=0, count=0, first=0, second=0):
        header = HEADER.pack(command, len(payload), kind, count, first, second)
        self._socket.sendall(header + payload)

    def _message(self):
        command, size, _, _, _, second = HEADER.unpack(self._take(HEADER.size))
        return command, second, self._take(size)

    def _take(self, size):
        while len(self._received) < size:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the circuit")
            self._received += more
        taken, self._received = self._received[:size], self._received[size:]
        return taken
