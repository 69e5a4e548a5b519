"""Configuration: pydantic models, one module a stage, from which YAML defaults and JSON schemas are generated."""

from astropipe.config.loading import load, resolve, section
from astropipe.config.root import Config

__all__ = ["Config", "load", "resolve", "section"]
