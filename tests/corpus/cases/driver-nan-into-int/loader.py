import emulate
c = emulate.driver()
import pandas as pd
frame = pd.DataFrame([["a", 1], ["b", float("nan")]], columns=["name", "sign"])
c.execute("INSERT INTO groups (name, sign) VALUES", frame.values.tolist())
