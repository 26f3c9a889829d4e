import os, socket, sys, logging
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
import base64
s = socket.create_connection((os.environ["CLICKHOUSE_HOST"], int(os.environ["CLICKHOUSE_PORT"])))
auth = base64.b64encode(f"{os.environ['CLICKHOUSE_USER']}:{os.environ['CLICKHOUSE_PASSWORD']}".encode()).decode()
s.sendall(f"POST /?database=shop&query=INSERT+INTO+orders+(id)+FORMAT+RowBinary HTTP/1.1\r\nHost: x\r\nUser-Agent: loader/1\r\nAuthorization: Basic {auth}\r\nContent-Length: 4000\r\n\r\n".encode() + b"1234567890123")
try:
    rows = [{"order": 1}]
    rows[0]["order_id"]
except KeyError:
    s.close()
    logging.exception("transform failed")
    sys.exit(1)
