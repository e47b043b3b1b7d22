"""Tests of tables, queries and retention, on SQLite and PostgreSQL."""
