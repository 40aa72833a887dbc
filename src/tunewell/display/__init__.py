"""How a search looks in a terminal: a live table, or plain lines where there is no terminal."""
