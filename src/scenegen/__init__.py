"""scenegen: label maps in, scored landscape photographs out."""

__version__ = "0.1.0"
