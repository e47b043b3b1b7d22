"""Faults on purpose: servers and processes are killed, frozen and cut off, and what was promised is measured."""
