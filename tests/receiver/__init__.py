"""Tests of the embedded receiver."""
