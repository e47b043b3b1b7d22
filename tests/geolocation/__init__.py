"""Tests of finding the place of an address."""
