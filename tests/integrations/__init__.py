"""Tests of the hooks into a host's views and libraries."""
