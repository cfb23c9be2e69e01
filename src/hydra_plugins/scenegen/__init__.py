"""Hydra plug-ins of scenegen: `loss=a+b`, `experiment=<slug>`, and one process per multirun job."""
