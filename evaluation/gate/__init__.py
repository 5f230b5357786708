"""Compares a system with its baseline and decides whether it got worse."""
