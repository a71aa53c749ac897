"""Communication over ZeroMQ: events, control requests and encryption."""
