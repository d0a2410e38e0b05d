"""Configs: read, checked, completed; nothing is built here."""
