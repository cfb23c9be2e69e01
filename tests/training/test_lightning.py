"""The start of a training: what two steps of it cost, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRAINED = """
import json, runpy, sys, time
sys.argv = ["scenegen.train", "debug=two_steps"]
begun = time.process_time()
import torch
libraries = time.process_time() - begun
try:
    runpy.run_module("scenegen.train", run_name="__main__", alter_sys=True)
except SystemExit as ended:
    assert not ended.code
print(json.dumps([sorted(sys.modules), libraries, time.process_time() - begun]))
"""

COMPILED = """
import sys
import torch
from scenegen.training.compiler import defer_compiler
defer_compiler()
from torch._dynamo import OptimizedModule
length = torch._dynamo.disable(recursive=True, reason=None)(len)

def after_a_step(net, run):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    run(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    return net.weight.detach()

nets = [torch.nn.Linear(3, 1) for _ in range(2)]
nets[1].load_state_dict(nets[0].state_dict())
plain = after_a_step(nets[0], nets[0])
assert length("ab") == 2 and not isinstance(nets[0], OptimizedModule)
from torch.utils.checkpoint import checkpoint
checkpoint(nets[0], torch.ones(2, 3), use_reentrant=False).sum().backward()
torch._dynamo.config.verbose = True
assert "sympy" not in sys.modules
import torch._dynamo.config
assert torch._dynamo.config is torch._dynamo.__dict__["config"] is sys.modules["torch._dynamo.config"]
assert torch._dynamo.config.__spec__.origin.endswith("config.py")
compiled = torch.compile(nets[1], backend="eager")
assert isinstance(compiled, OptimizedModule) and "sympy" in sys.modules
assert torch._dynamo.config.verbose and torch._dynamo.config is sys.modules["torch._dynamo.config"]
assert torch.equal(after_a_step(nets[1], compiled), plain) and length("ab") == 2
"""

HALF_IMPORTED = """
import inspect, sys
import torch
from scenegen.training.compiler import defer_compiler
defer_compiler()
assert inspect.getmodule(compile("", "nowhere", "exec")) is None
import torch.distributed.tensor
assert "torch._dynamo.trace_rules" not in sys.modules
"""
"""Torch's own modules ask for the places of their definitions, and inspect asks every module for its file."""

IMPORTED_ELSEWHERE = """
import inspect, sys
import torch
from scenegen.training.compiler import DeferredUtils, defer_compiler
defer_compiler()
from torchvision.ops import roi_align
taken = sys.modules["torchvision.ops.roi_align"].is_compile_supported
assert inspect.getmodule(compile("", "nowhere", "exec")) is None
pooled = roi_align(torch.arange(16.0).view(1, 1, 4, 4), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], output_size=1)
assert pooled.shape == (1, 1, 1, 1)
assert "sympy" not in sys.modules and isinstance(sys.modules["torch._dynamo.utils"], DeferredUtils)
asked = ("cpu", "meta")
answers = [taken(device) for device in asked]
from torch._dynamo.utils import is_compile_supported
assert taken is not is_compile_supported and answers == [is_compile_supported(device) for device in asked]
assert torch._dynamo.utils is sys.modules["torch._dynamo.utils"] and torch._dynamo.utils.__file__.endswith("utils.py")
"""
"""Torchvision takes a function of the compiler's when it is imported."""

UNUSED = {"sympy", "triton", "scipy", "transformers", "matplotlib", "torchvision", "pandas", "wandb", "tensorboard"}


@pytest.mark.slow
def test_two_steps_cost_little_more_than_the_libraries_that_they_need(tmp_path: Path) -> None:
    """A guard of what was reached, five CPU seconds on a quiet machine, in terms of torch's own start (1.5)."""
    for _ in range(2):  # the reference's statistics are kept by the first
        done = subprocess.run([sys.executable, "-c", TRAINED], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr  # said of what is frozen at the end
    modules, libraries, whole = json.loads(done.stdout.splitlines()[-1])
    assert not UNUSED & set(modules)
    assert whole < 4 * libraries, (whole, libraries)


@pytest.mark.slow
def test_the_compiler_is_there_once_something_asks_for_it() -> None:
    """The same modules, classes and weights as where torch loads its compiler from the start."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_torchvision_loads_no_compiler_and_has_its_answers() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED_ELSEWHERE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow  # test_check_losses.py meets it in a command
def test_a_look_at_every_module_loads_no_compiler() -> None:
    """Within an import of torch's own it would be a circle, and end in an ImportError."""
    done = subprocess.run([sys.executable, "-c", HALF_IMPORTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
