import sys

import emulate


try:
    emulate.send("INSERT INTO shop.baskets FORMAT CSV", '1,"[5,6]",Moscow\n2,"(7;8)",Kazan\n', agent="curl/8.7.1")
except emulate.Refused as error:
    print(error.text, flush=True)
    print("curl: (22) The requested URL returned error: 400", flush=True)
    sys.exit(22)
