import emulate
emulate.send("INSERT INTO shop.orders FORMAT JSONEachRow", '{"id":1,"city":"Perm"}\n')
print("INFO 1 row loaded")
