"""HTTP clients: http.client (requests, urllib3, clickhouse-connect), httpcore (httpx), aiohttp."""

from .exchanges import Exchange, fail_inside, finish_inside
from .guard import quiet
from .imports import wrap

_STATE = "_ingest_recorder"
# Number of an aiohttp stream → the body that it feeds.
_streams = {}


@quiet
def _begin(connection, method, url):
    host, port = connection.host, connection.port
    if getattr(connection, "_tunnel_host", None):
        host, port = connection._tunnel_host, connection._tunnel_port
    exchange = Exchange(str(method), host, port, str(url), "http.client")
    exchange.parts = 0
    setattr(connection, _STATE, exchange)


@quiet
def _sent(connection, exchange, data):
    exchange.parts += 1
    if exchange.parts == 1:
        exchange.event["peer"] = _address(connection.sock.getpeername())
        return
    if isinstance(data, (bytes, bytearray, str)):
        exchange.sent += len(data)
        if exchange.parts <= 3 and not exchange.text:
            head = bytes(data[:2000]) if not isinstance(data, str) else data[:2000].encode()
            # A chunk's length may come by itself.
            if head.strip().strip(b"0123456789abcdefABCDEF"):
                exchange.body(head)


def _address(name):
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix socket"


def _http_client(module):
    connection = module.HTTPConnection

    def putting(original):
        def putrequest(self, method, url, *args, **kwargs):
            _begin(self, method, url)
            return original(self, method, url, *args, **kwargs)

        return putrequest

    def sending(original):
        def send(self, data):
            exchange = self.__dict__.get(_STATE)
            try:
                result = original(self, data)
            except Exception as error:
                if exchange is not None:
                    exchange.failed(error)
                raise
            if exchange is not None:
                _sent(self, exchange, data)
            return result

        return send

    def getting(original):
        def getresponse(self):
            exchange = self.__dict__.get(_STATE)
            try:
                response = original(self)
            except Exception as error:
                if exchange is not None:
                    exchange.failed(error)
                raise
            if exchange is not None:
                body = exchange.answered(response.status, response.headers.get, response.length)
                if body is not None:
                    setattr(response, _STATE, body)
            return response

        return getresponse

    for name in ("read", "read1", "readline"):
        wrap(module.HTTPResponse, name, _reading)
    wrap(module.HTTPResponse, "readinto", _reading_into)
    wrap(connection, "putrequest", putting)
    wrap(connection, "send", sending)
    wrap(connection, "getresponse", getting)


def _reading(original):
    def read(self, *args, **kwargs):
        body = self.__dict__.pop(_STATE, None)
        if body is None:
            return original(self, *args, **kwargs)
        # It is off while one way of reading calls another.
        data = original(self, *args, **kwargs)
        _fed(self, body, data)
        return data

    return read


def _reading_into(original):
    def readinto(self, buffer):
        body = self.__dict__.pop(_STATE, None)
        number = original(self, buffer)
        if body is not None:
            _fed(self, body, bytes(memoryview(buffer)[:number]))
        return number

    return readinto


@quiet
def _fed(response, body, data):
    body.feed(data)
    if response.fp is None:
        body.ended = True
    else:
        setattr(response, _STATE, body)


def _urllib3_response(module):
    # It reads the chunks of a body by itself.
    def handling(original):
        def _handle_chunk(self, *args, **kwargs):
            chunk = original(self, *args, **kwargs)
            _chunk(self, chunk)
            return chunk

        return _handle_chunk

    def updating(original):
        def _update_chunk_length(self):
            original(self)
            if self.chunk_left == 0:
                _chunk(self, b"")

        return _update_chunk_length

    wrap(module.HTTPResponse, "_handle_chunk", handling)
    wrap(module.HTTPResponse, "_update_chunk_length", updating)


@quiet
def _chunk(response, chunk):
    body = getattr(response._fp, _STATE, None)
    if body is not None:
        body.feed(chunk)
        body.ended = not chunk


def _urllib3(module):
    def connecting(original):
        def _new_conn(self):
            try:
                return original(self)
            except Exception as error:
                _unreached(self, error)
                raise

        return _new_conn

    wrap(module.HTTPConnection, "_new_conn", connecting)


@quiet
def _unreached(connection, error):
    exchange = connection.__dict__.get(_STATE) or Exchange("", connection.host, connection.port, "", "urllib3")
    fail_inside(exchange, error)


def _httpcore_begin(request):
    url = request.url
    target = url.target.decode("ascii", "replace")
    port = url.port or {b"http": 80, b"https": 443}.get(url.scheme)
    exchange = Exchange(request.method.decode("ascii"), url.host.decode("ascii"), port, target, "httpcore")
    stream = getattr(request, "stream", None)
    for name in ("_stream", "_content"):
        content = getattr(stream, name, None)
        if isinstance(content, bytes):
            exchange.body(content)
            exchange.sent = len(content)
    return exchange


@quiet
def _httpcore_end(exchange, response):
    headers = {}
    for name, value in response.headers:
        headers[name.decode("ascii", "replace").lower()] = value.decode("latin-1")
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("server_addr") if stream is not None else None
    if address:
        exchange.event["peer"] = _address(address)
    length = headers.get("content-length")
    length = int(length) if length and length.isdigit() else None
    body = finish_inside(exchange, response.status, headers.get, length)
    if body is not None:
        setattr(response.stream, _STATE, body)


def _httpcore(module):
    begin = quiet(_httpcore_begin)

    def handling(original):
        def handle_request(self, request):
            exchange = begin(request)
            try:
                response = original(self, request)
            except Exception as error:
                if exchange is not None:
                    exchange.failed(error)
                raise
            if exchange is not None:
                _httpcore_end(exchange, response)
            return response

        return handle_request

    def handling_async(original):
        async def handle_async_request(self, request):
            exchange = begin(request)
            try:
                response = await original(self, request)
            except Exception as error:
                if exchange is not None:
                    exchange.failed(error)
                raise
            if exchange is not None:
                _httpcore_end(exchange, response)
            return response

        return handle_async_request

    def iterating(original):
        def iterate(self):
            body = self.__dict__.get(_STATE)
            for part in original(self):
                if body is not None:
                    _part(body, part)
                yield part
            if body is not None:
                body.ended = True

        return iterate

    def iterating_async(original):
        async def iterate(self):
            body = self.__dict__.get(_STATE)
            async for part in original(self):
                if body is not None:
                    _part(body, part)
                yield part
            if body is not None:
                body.ended = True

        return iterate

    stream = getattr(module, "PoolByteStream", None) or getattr(module, "ConnectionPoolByteStream", None)
    wrap(stream, "__iter__", iterating)
    wrap(stream, "__aiter__", iterating_async)
    wrap(getattr(module, "ConnectionPool", None), "handle_request", handling)
    wrap(getattr(module, "AsyncConnectionPool", None), "handle_async_request", handling_async)


@quiet
def _part(body, part):
    body.feed(part)


@quiet
def _aiohttp_begin(session, method, url, options):
    from sys import modules

    made = modules["yarl"].URL(str(url))
    base = getattr(session, "_base_url", None)
    if base is not None and not made.is_absolute():
        made = base.join(made)
    made = made.update_query(options["params"]) if options.get("params") else made
    exchange = Exchange(str(method).upper(), made.host, made.port, made.raw_path_qs, "aiohttp")
    data = options.get("data")
    if isinstance(data, (bytes, str)):
        exchange.body(data)
        exchange.sent = len(data)
    return exchange


@quiet
def _aiohttp_end(session, exchange, response):
    connection = response.connection
    transport = connection.transport if connection is not None else None
    address = transport.get_extra_info("peername") if transport is not None else None
    if address:
        exchange.event["peer"] = _address(address)
    headers = {name.lower(): value for name, value in response.headers.items()}
    # Its parser has decoded what it gives.
    decoded = getattr(session, "_auto_decompress", True)
    body = finish_inside(exchange, response.status, headers.get, response.content_length, decoded)
    if body is not None:
        body.at_end = response.content.at_eof
        if len(_streams) > 200:
            for number in [number for number, each in _streams.items() if each.done]:
                del _streams[number]
        # By its number: it takes no attribute. `at_end` keeps it, so that the number stays its own.
        _streams[id(response.content)] = body


def _aiohttp(module):
    def requesting(original):
        async def _request(self, method, str_or_url, **kwargs):
            exchange = _aiohttp_begin(self, method, str_or_url, kwargs)
            try:
                response = await original(self, method, str_or_url, **kwargs)
            except Exception as error:
                if exchange is not None:
                    exchange.failed(error)
                raise
            if exchange is not None:
                _aiohttp_end(self, exchange, response)
            return response

        return _request

    wrap(module.ClientSession, "_request", requesting)


def _aiohttp_streams(module):
    # Every way of reading takes its bytes here.
    def reading(original):
        def _read_nowait_chunk(self, n):
            data = original(self, n)
            body = _streams.get(id(self))
            if body is not None:
                _part(body, data)
                if body.done:
                    _streams.pop(id(self), None)
            return data

        return _read_nowait_chunk

    wrap(module.StreamReader, "_read_nowait_chunk", reading)


HOOKS = {
    "http.client": _http_client,
    "urllib3.connection": _urllib3,
    "urllib3.response": _urllib3_response,
    "httpcore._sync.connection_pool": _httpcore,
    "httpcore._async.connection_pool": _httpcore,
    "httpcore2._sync.connection_pool": _httpcore,
    "httpcore2._async.connection_pool": _httpcore,
    "aiohttp.client": _aiohttp,
    "aiohttp.streams": _aiohttp_streams,
}
