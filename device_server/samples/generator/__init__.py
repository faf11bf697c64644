"""Makers of the sample library; run by developers only, through generate.py."""
