"""The little HTTP/2 that the doctor speaks, against a library that speaks all of it."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events
import pytest
from hpack import Decoder

from suite.doctor.http2 import Frame, FrameType, headers, speak
from suite.doctor.idle import Idling, leave_alone
from suite.doctor.line import CHUNK_BYTES, connect
from suite.doctor.values import Fault
from tests.support.loopback import LoopbackServer

PATIENCE_S = 60
BRIEF_S = 0.3
SETTINGS = Frame(FrameType.SETTINGS).encode()


class Http2Server(LoopbackServer):
    """Speaks HTTP/2, and remembers what came. `pings` are sent once a stream is open."""

    def __init__(self, pings: int = 0) -> None:
        super().__init__()
        self.events: list[h2.events.Event] = []
        self._pings = pings

    async def serve(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                self.events.append(event)
                if isinstance(event, h2.events.RequestReceived):
                    for number in range(self._pings):
                        connection.ping(number.to_bytes(8, "big"))
            writer.write(connection.data_to_send())

    def seen(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class Says(LoopbackServer):
    """Says something in reply to the preface, once or for ever, and nothing else."""

    def __init__(self, data: bytes, *, forever: bool = False, close: bool = False) -> None:
        super().__init__()
        self._data, self._forever, self._close = data, forever, close

    async def serve(self, reader, writer):
        await reader.read(1)
        writer.write(self._data)
        while self._forever:
            writer.write(self._data)
            await writer.drain()
            await asyncio.sleep(0)
        await writer.drain()
        while not self._close and await reader.read(65536):
            pass


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 300, 20_000])
def test_headers_are_read_as_they_were_meant_and_kept_by_nobody(length):
    pairs = [(":path", "/a"), ("authorization", "x" * length)]
    decoder = Decoder(max_header_list_size=1_000_000)
    assert [(str(name), str(value)) for name, value in decoder.decode(headers(pairs))] == pairs
    assert len(decoder.header_table.dynamic_entries) == 0


async def test_settings_and_a_ping_are_exchanged():
    async with Http2Server() as server, await connect("127.0.0.1", server.port, PATIENCE_S) as line:
        spoken = await speak(line, PATIENCE_S)
        assert (spoken.has_settings, spoken.has_pong, spoken.fault) == (True, True, Fault.NONE)
        assert server.seen(h2.events.SettingsAcknowledged)


@pytest.mark.parametrize(
    ("data", "settings", "fault"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, Fault.GARBLED),
        (b"HTTP/1.", False, Fault.GARBLED),
        (b"\x00\x00\x00\x06\x00\x00\x00\x00\x00", False, Fault.GARBLED),
        (b"\xff\xff\xff\x04\x00\x00\x00\x00\x00", False, Fault.GARBLED),
        (b"", False, Fault.CLOSED),
        (SETTINGS, True, Fault.CLOSED),
        (SETTINGS[:5], False, Fault.CLOSED),
    ],
)
async def test_what_is_no_http2_is_told_from_what_hangs_up(data, settings, fault):
    async with Says(data, close=True) as server, await connect("127.0.0.1", server.port, PATIENCE_S) as line:
        spoken = await speak(line, PATIENCE_S)
    assert (spoken.has_settings, spoken.has_pong, spoken.fault) == (settings, False, fault)


@pytest.mark.parametrize(("data", "forever"), [(b"", False), (SETTINGS, False), (SETTINGS, True)])
async def test_a_server_that_never_answers_the_ping_is_waited_for_that_long(data, forever):
    async with Says(data, forever=forever) as server, await connect("127.0.0.1", server.port, PATIENCE_S) as line:
        spoken = await speak(line, BRIEF_S)
        held = len(line._reader._buffer)  # what nobody has read yet
    assert (spoken.has_settings, spoken.fault) == (bool(data), Fault.SILENT)
    assert held <= 3 * CHUNK_BYTES


async def test_a_stream_that_is_left_alone_sends_the_key_and_the_start_and_stays_open():
    async with Http2Server(pings=2) as server, await connect("127.0.0.1", server.port, PATIENCE_S) as line:
        idling = Idling(for_s=0.2, ping_s=PATIENCE_S, pong_s=PATIENCE_S)
        idled = await leave_alone(line, "relay:443", "psk_1_s", b"start", idling)
        assert (idled.fault, idled.waited_s >= 0.2) == (Fault.NONE, True)
        [request] = server.seen(h2.events.RequestReceived)
        assert ("authorization", "Bearer psk_1_s") in request.headers
        assert (":authority", "relay:443") in request.headers
        [data] = server.seen(h2.events.DataReceived)
        assert data.data == b"\x00\x00\x00\x00\x05start"
        answered = [int.from_bytes(event.ping_data, "big") for event in server.seen(h2.events.PingAckReceived)]
        assert answered == [0, 1]  # the relay's pings, each by itself
        assert not server.seen(h2.events.StreamEnded)
