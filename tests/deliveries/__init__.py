"""What providers report: calls as their documentation says, to a host behind a real server."""
