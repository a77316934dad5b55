"""Runs one list of cases against every SDK: drivers, steps, expectations."""
