"""Reads every page of its source in many ways; nothing that it parses with is known to the recorder.

A question's path is /CLIENT/CODING/FORM; STOP is the last page that is read.
"""

import asyncio
import json
import os
import ssl
import threading
import urllib.request
import zlib

import aiohttp
import httpx
import msgspec
import pydantic
import requests

BASE = os.environ.get("SOURCE_URL", "")
STOP = int(os.environ.get("STOP", "3"))
CODINGS = ["plain", "gzip", "deflate", "raw-deflate", "br", "chunked", "gzip-chunked"]
# Made once: it costs more than an exchange.
TLS = ssl.create_default_context()
SESSION = requests.Session()
HTTPX = httpx.Client(verify=TLS)


class Answer(pydantic.BaseModel):
    """An answer that pydantic validates."""

    data: list[dict]


def by_urllib(address):
    """Parts of the body, decoded by hand."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        data = b""
        while part := answer.read(1000):
            data += part
        coding = answer.headers.get("Content-Encoding", "")
    if coding:
        data = zlib.decompress(data, 47)
    return msgspec.json.decode(data) if data[:1] == b"{" and b"\n" not in data else data


def by_requests(address):
    """The whole body."""
    return SESSION.get(address, timeout=10).content


def by_requests_lines(address):
    """Line by line."""
    with SESSION.get(address, timeout=10, stream=True) as answer:
        return [*answer.iter_lines()]


def by_requests_raw(address):
    """The raw stream, read into a buffer."""
    with SESSION.get(address, timeout=10, stream=True) as answer:
        return answer.raw.read(decode_content=True)


def by_httpx(address):
    """By httpx, while a text that is no answer is parsed by the standard library."""
    content = HTTPX.get(address).content
    json.loads('{"data": [1, 2, 3, 4, 5]}')
    return content


def by_thread(address):
    """Another thread parses it."""
    content = SESSION.get(address, timeout=10).content
    parser = threading.Thread(target=lambda: json.loads(content) if content[-1:] == b"}" else None)
    parser.start()
    parser.join()


async def _httpx_async(address):
    async with httpx.AsyncClient(verify=TLS) as client, client.stream("GET", address) as answer:
        return [part async for part in answer.aiter_bytes()]


async def _aiohttp(address):
    async with aiohttp.ClientSession() as client, client.get(address) as answer:
        return [line async for line in answer.content]


def by_httpx_async(address):
    """A stream by httpx's asynchronous client."""
    return asyncio.run(_httpx_async(address))


def by_aiohttp(address):
    """Line by line."""
    return asyncio.run(_aiohttp(address))


def by_pydantic(address):
    """Validated from its bytes."""
    content = SESSION.get(address, timeout=10).content
    return Answer.model_validate_json(content) if content[:9] == b'{"data": ' else content


WAYS = {name[3:]: way for name, way in [*globals().items()] if name.startswith("by_")}


def main():
    """Every way, every coding, every form."""
    for client, read in WAYS.items():
        for coding in CODINGS:
            if client == "urllib" and coding in ("br", "raw-deflate"):
                continue
            for form in ("json", "lines", "csv"):
                for page in range(1, STOP + 1):
                    read(f"{BASE}/{client}/{coding}/{form}?page={page}")


if __name__ == "__main__":
    main()
