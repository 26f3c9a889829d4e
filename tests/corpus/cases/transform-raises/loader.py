import emulate
c = emulate.connect()
def rate(order):
    return order["sold"] / order["capacity"]
orders = [{"sold": 5, "capacity": 0}]
c.insert("orders", [[rate(order)] for order in orders], column_names=["id"])
