"""Annotations of other tools, each read by a file of its own, and what becomes of them: data=folder."""
