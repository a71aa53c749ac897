"""What goes over ZeroMQ: events, requests, and encryption."""
