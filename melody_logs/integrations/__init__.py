"""Connections to what hosts use: one file each."""
