"""How drivers and HTTP clients of all languages say in which way a connection failed."""

from __future__ import annotations

import re

WRONG_PROTOCOL = re.compile(
    r"Port (\d+) is for clickhouse-client program|expected Hello or Exception, got"
    r"|unexpected packet \[?72|BadStatusLine|Received HTTP/0\.9"
    r"|malformed HTTP response"
    r"|Parse Error: Expected HTTP/",
    re.IGNORECASE,
)
TLS = re.compile(
    r"WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE|record layer failure"
    r"|first record does not look like a TLS handshake|EPROTO\b"
    r"|UNEXPECTED_EOF_WHILE"
    r"|plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|CERTIFICATE_VERIFY_FAILED"
    r"|certificate verify failed|certificate[_ ]required|SSLHandshakeException|fatal alert"
    r"|self[- ]signed certificate|Hostname mismatch|x509:|SSLError|NotSslRecordException",
    re.IGNORECASE,
)
CERTIFICATE = re.compile(r"CERTIFICATE|certificate|Hostname mismatch|x509:", re.IGNORECASE)
UNKNOWN_HOST = re.compile(
    r"Name or service not known|Temporary failure in name resolution|getaddrinfo|nodename nor servname"
    r"|No address associated with hostname|\bENOTFOUND\b|EAI_AGAIN|UnknownHost|no such host"
    r"|Not found address of host|\bbad address ['\"]|Имя или служба не известны"
    r"|(?:Could not|unable to) resolve host|Name does not resolve|getaddrinfo failed|DNS_ERROR",
    re.IGNORECASE,
)
REFUSED = re.compile(
    r"Connection refused|Couldn't connect to server|ECONNREFUSED|actively refused"
    r"|(?<!connect\.errors\.)\bConnectException\b(?!.*timed out)"
    r"|Errno 111\b|Connect call failed"
    r"|No route to host|Network is unreachable|EHOSTUNREACH|All connection attempts failed"
    r"|в соединении отказано|Verbindungsaufbau abgelehnt",
    re.IGNORECASE,
)
CONNECT_TIMEOUT = re.compile(
    r"ConnectTimeout|connect(?:ion)? timed? ?out|ETIMEDOUT|Errno 110\b|dial tcp .*i/o timeout", re.I
)
READ_TIMEOUT = re.compile(
    r"ReadTimeout|read timed? ?out|timed out|TimeoutE(?:rror|xception)|deadline exceeded"
    r"|no complete answer within|\btimeout\b",
    re.IGNORECASE,
)
# Drivers that try a list of hosts name it at the end.
UNREACHABLE = re.compile(r"\bhosts? (?:are|is) unreachable: \[?([\w.-]+:\d{1,5})")
LOST = re.compile(
    r"Connection reset|failed to respond|writing request body to server|closed network connection"
    r"|NoHttpResponse|(?:Remote end|[Ss]erver) closed connection|Bad file "
    r"descriptor|ECONNRESET|Broken ?pipe|\bEPIPE\b|Empty reply from server|premature close|[]:] EOF$"
    r"|read after eof: while receiving|RemoteDisconnected|RemoteProtocolError|Connection aborted|EOFError"
    r"|unexpected EOF|Unexpected EOF|IncompleteRead|ChunkedEncodingError|server (?:closed|disconnected)|socket hang up"
    r"|Connection (?:was )?closed|peer closed connection",
    re.IGNORECASE | re.MULTILINE,
)
