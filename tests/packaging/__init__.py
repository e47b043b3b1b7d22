"""What is built and installed, and that it works where a host would use it."""
