"""Polls the host with psutil, tick by tick."""
