"""Tests of API clients, signing keys and tokens."""
