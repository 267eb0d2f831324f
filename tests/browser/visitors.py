"""Visitors without a browser, over raw sockets: many of them take little of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any


async def visit_often(
    url: str, n: int, rounds: int, pause_s: float, slides: bool = False
) -> list[float]:
    """n visitors at a time, each with so many changes; milliseconds until each was answered."""
    visits = (_visitor(url, number, rounds, pause_s, slides) for number in range(n))
    return [answer for answers in await asyncio.gather(*visits) for answer in answers]


async def look(url: str, query: str, page: str = "") -> list[Any]:
    """What one visitor who opens a link is shown, as Streamlit sends it."""
    import websockets
    from streamlit.proto.BackMsg_pb2 import BackMsg

    websocket = url.replace("http", "ws") + "/_stcore/stream"
    async with websockets.connect(
        websocket, subprotocols=["streamlit"], max_size=None, origin=url
    ) as socket:
        message = BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = page
        await socket.send(message.SerializeToString())
        return await _run(socket)


async def _visitor(url: str, number: int, rounds: int, pause_s: float, slides: bool) -> list[float]:
    """One visitor who changes the threshold, by its slider or by opening another address, a number
    of times, every half to one and a half pauses; milliseconds until each run ended."""
    import websockets
    from streamlit.proto.BackMsg_pb2 import BackMsg

    answers = []
    gaps = random.Random(number)  # visitors do not move in step
    websocket = url.replace("http", "ws") + "/_stcore/stream"
    address = "v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold={})%2Bq(8)"
    async with websockets.connect(
        websocket, subprotocols=["streamlit"], max_size=None, origin=url
    ) as socket:
        message = BackMsg()
        message.rerun_script.query_string = address.format(0.0949)
        await socket.send(message.SerializeToString())
        drawn = await _run(socket)
        (slider,) = (d for d in drawn if d.new_element.slider.label == "Threshold")
        if slides:
            message.rerun_script.fragment_id = slider.fragment_id
            state = message.rerun_script.widget_states.widgets.add(id=slider.new_element.slider.id)
        for turn in range(rounds):
            place = (turn + number) % 4
            if slides:
                option = slider.new_element.slider.options[6 + 3 * place]
                state.string_array_value.data[:] = [option]
            else:
                threshold = (0.05, 0.0949, 0.1, 0.133)[place]
                message.rerun_script.query_string = address.format(threshold)
            await asyncio.sleep(pause_s * gaps.uniform(0.5, 1.5))
            start = time.perf_counter()
            await socket.send(message.SerializeToString())
            drawn = await _run(socket)
            answers.append(1e3 * (time.perf_counter() - start))
            assert any(d.new_element.WhichOneof("type") == "metric" for d in drawn)
    return answers


async def _run(socket: Any) -> list[Any]:
    """What is drawn until a run has ended."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    drawn = []
    while True:
        forward = ForwardMsg()
        forward.ParseFromString(await socket.recv())
        kind = forward.WhichOneof("type")
        if kind == "delta":
            drawn.append(forward.delta)
        elif kind == "script_finished":
            return drawn


async def stay(url: str, query: str) -> None:
    """One visitor who opens a link and stays."""
    import websockets
    from streamlit.proto.BackMsg_pb2 import BackMsg

    address = url.replace("http", "ws") + "/_stcore/stream"
    async with websockets.connect(
        address, subprotocols=["streamlit"], max_size=None, origin=url
    ) as socket:
        message = BackMsg()
        message.rerun_script.query_string = query
        while True:  # a page asks for its own next runs; this visitor asks for it again and again
            await socket.send(message.SerializeToString())
            await asyncio.sleep(0.5)
            with contextlib.suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(socket.recv(), 0.01)
