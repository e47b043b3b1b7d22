"""Tests of the coverage report."""
