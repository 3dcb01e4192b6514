"""The datagrams that an Asterisk sends over loopback, as they are on the wire. It needs root."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_EVERYTHING = 3  # ETH_P_ALL


@contextmanager
def listening(source_port: int) -> Iterator[list[bytes]]:
    """Collect the payloads of UDP that come from a port of 127.0.0.1, each once, while the context lasts."""
    found: list[bytes] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)) as wire:
        wire.bind(("lo", 0))
        wire.settimeout(0.1)
        ended = threading.Event()
        thread = threading.Thread(target=_read, args=(wire, source_port, found, ended))
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()


def _read(wire: socket.socket, source_port: int, found: list[bytes], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            frame = wire.recv(65535)
        except TimeoutError:
            continue
        packet = frame[14:]
        if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP:
            continue
        datagram = packet[4 * (packet[0] & 15) :]
        [port, _, length] = struct.unpack("!HHH", datagram[:6])
        payload = datagram[8:length]
        if port == source_port and payload not in found:
            found.append(payload)
