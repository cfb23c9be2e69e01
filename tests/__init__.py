"""Tests. Convolutions use one instruction set on every processor, with which the recorded picks come out.

PatchMatch picks one of two near-equal scores, and the last bit of a convolution decides which: with AVX-512 some of
CoCosNet v2's recorded picks come out otherwise. oneDNN reads the variable once, at the first convolution.
"""

import os

os.environ.setdefault("DNNL_MAX_CPU_ISA", "AVX2")
