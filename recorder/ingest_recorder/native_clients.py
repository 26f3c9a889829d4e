"""The native protocol: clickhouse-driver and asynch."""

from .exchanges import Exchange, statement, write_exchange
from .guard import quiet
from .imports import wrap


def _address(connection):
    """(host, port): of the connection, else of the first of those that it may try."""
    host, port = getattr(connection, "host", None), getattr(connection, "port", None)
    if host is None:
        host, port = next(iter(getattr(connection, "hosts", None) or [(None, None)]))[:2]
    return str(host), port


@quiet
def _begin(connection, query, client):
    exchange = Exchange("NATIVE", *_address(connection), target="", client=client)
    exchange.text = query[:2000] if isinstance(query, str) else ""
    return exchange


@quiet
def _end(exchange, connection, client, error):
    if exchange.done:
        return
    exchange.done = True
    event = exchange.event
    # Which of several hosts it is, is known after the connection was made.
    event["host"], event["port"] = _address(connection)
    event["clickhouse"] = True
    sock = getattr(connection, "socket", None)
    # asynch keeps a stream writer inside a writer of its own.
    stream = getattr(getattr(connection, "writer", None), "writer", None)
    try:
        name = sock.getpeername() if sock is not None else stream.get_extra_info("peername") if stream else None
    except OSError:
        # It is closed after a failure.
        name = None
    if name:
        event["peer"] = f"{name[0]}:{name[1]}"
    event["ms"] = exchange.milliseconds()
    verb, table = statement(exchange.text)
    if verb:
        event["verb"], event["table"] = verb, table
    asked = getattr(client, "last_query", None)
    progress = getattr(asked, "progress", None)
    written = getattr(progress, "written_rows", None)
    # Older servers tell no progress of an INSERT: 0 says nothing.
    event["written_rows"] = written if isinstance(written, int) and written and verb == "INSERT" else None
    if error is None:
        event["status"] = 200
    else:
        event["error"] = type(error).__name__
        code = getattr(error, "code", None)
        # Only what the server's packet says: the client's own errors have numbers too.
        if type(error).__name__ == "ServerException" and isinstance(code, int):
            event["code"] = code
    write_exchange({key: value for key, value in event.items() if value is not None})


def _driver(module):
    def asking(original):
        def ask(self, query, *args, **kwargs):
            connection = getattr(self, "connection", None)
            exchange = _begin(connection, query, "clickhouse-driver")
            try:
                result = original(self, query, *args, **kwargs)
            except Exception as error:
                if exchange is not None:
                    _end(exchange, getattr(self, "connection", None), self, error)
                raise
            if exchange is not None:
                _end(exchange, getattr(self, "connection", None), self, None)
            return result

        return ask

    for name in ("execute", "execute_with_progress", "execute_iter", "insert_dataframe", "query_dataframe"):
        wrap(module.Client, name, asking)


def _asynch(module):
    owner = module.Connection

    def asking(original):
        async def ask(self, query, *args, **kwargs):
            exchange = _begin(self, query, "asynch")
            try:
                result = await original(self, query, *args, **kwargs)
            except Exception as error:
                if exchange is not None:
                    _end(exchange, self, self, error)
                raise
            if exchange is not None:
                _end(exchange, self, self, None)
            return result

        return ask

    for name in ("execute", "execute_iter", "execute_with_progress"):
        wrap(owner, name, asking)


HOOKS = {"clickhouse_driver.client": _driver, "asynch.proto.connection": _asynch}
