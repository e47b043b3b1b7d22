"""Tests of tables, queries and retention, on each database."""
