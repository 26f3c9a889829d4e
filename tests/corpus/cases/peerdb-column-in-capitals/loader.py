import os
import sys

import emulate


try:
    emulate.send("INSERT INTO shop.jobs (id, _PEERDB_IS_DELETED, _peerdb_version) SELECT number, 0, 1 FROM numbers(3)", agent="clickhouse-go/2.30.0 (lv:go/1.23; os:linux)")
except emulate.Refused as error:
    text = error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0]
    print('{"time":"2026-11-23T04:00:01Z","level":"ERROR","msg":"failed to normalize records","flowName":"mirror_jobs","error":"Normalization Error: failed to normalize records: error while inserting into target clickhouse table jobs: code: %d, message: %s"}' % (error.code, text.replace('"', "'")), flush=True)
    sys.exit(1)
