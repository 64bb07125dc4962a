"""The plain HTTP channel answers whatever becomes of a turn."""

import json

import aiohttp
import pytest

from addons.channels.rest import RestChannel
from tests.connecting import serving_channel
from tests.stand_in import StandInAgent, fail


@pytest.mark.parametrize("stream", ["", "?stream=true"], ids=["whole", "stream"])
async def test_a_turn_that_fails_is_an_apology_over_plain_http_as_a_stream_too(stream: str) -> None:
    agent = StandInAgent()
    agent.before = fail
    asked = {"sender": "a-patient", "message": "does it hurt"}
    async with (
        serving_channel("rest", RestChannel(), agent) as server,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http,
        http.post(f"{server.webhook}{stream}", json=asked) as response,
    ):
        assert response.status == 200
        told = json.loads(await response.text())
    reply = told if stream else told[0]
    assert "something went wrong on our side" in reply["text"]


async def test_who_names_no_sender_or_null_shares_no_conversation() -> None:
    agent = StandInAgent()
    async with serving_channel("rest", RestChannel(), agent) as server, aiohttp.ClientSession() as http:
        for asked in ({"message": "hi"}, {"message": "hi"}, {"message": "hi", "sender": None}):
            async with http.post(server.webhook, json=asked) as response:
                assert response.status == 200
    assert len({message.sender_id for message in agent.asked}) == 3
