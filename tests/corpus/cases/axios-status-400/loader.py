import sys
import emulate

try:
    emulate.send('INSERT INTO visits FORMAT JSONEachRow', '{"at":"2026-11-20T10:00:00.000Z"}\n', agent='axios/0.27.2', date_time_input_format="basic")
except emulate.Refused as error:
    print("Error: Request failed with status code 400\n    at createError (/app/node_modules/axios/lib/core/createError.js:16:15)\n    at settle (/app/node_modules/axios/lib/core/settle.js:17:12)")
    sys.exit(1)
