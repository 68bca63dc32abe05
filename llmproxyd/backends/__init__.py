"""Providers; one file each, found by the registry, named nowhere else. Pure."""
