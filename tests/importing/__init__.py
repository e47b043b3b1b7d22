"""Importing the logs of a Melody Auth database."""
