"""How nodes reach other servers: which addresses they may, and one request to them."""
