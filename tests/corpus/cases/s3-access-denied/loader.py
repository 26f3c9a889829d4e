import http.server, sys, threading
import emulate
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".encode()
        self.send_response(403); self.send_header("Content-Type", "application/xml"); self.send_header("Content-Length", str(len(body))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
try:
    emulate.send(f"INSERT INTO facts SELECT * FROM s3('http://127.0.0.1:{port}/lake/facts.csv', 'k', 's', 'CSV', 'id UInt64, city String')", agent='apache-airflow')
except emulate.Refused as refused:
    text = refused.text.replace(str(port), "8088")
    print("INFO step copy started")
    print("ERROR step copy failed: " + text); sys.exit(1)
