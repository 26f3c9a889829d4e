import sys
import emulate

try:
    emulate.send('INSERT INTO u FORMAT JSONEachRow', '{"id":1,"n":"abc"}\n', agent='Go-http-client/1.1')
except emulate.Refused as error:
    import json
    print(json.dumps({"level": "error", "ts": 1795406402.1, "caller": "etl/sink.go:88", "msg": "flush failed", "error": f"code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0]}))
    sys.exit(1)
