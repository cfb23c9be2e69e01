"""The procedural world: landscape pictures with their 29-class label maps, a pure function of (seed, index, size)."""

from scenegen.data.world.light import STYLE_FIELDS
from scenegen.data.world.render import Scene, render, style_of

__all__ = ["STYLE_FIELDS", "Scene", "render", "style_of"]
