"""The compiler's front, torch._dynamo, loaded where something is asked of it and not before."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"
CONFIG = f"{NAME}.config"
"""Its settings, a module that imports nothing; recomputing reads one of them."""
UTILS = f"{NAME}.utils"
"""A part of it from which torchvision takes one function as it is imported."""
OF_EVERY_MODULE = ("__file__", "__warningregistry__")
"""What inspect and unittest ask every loaded module for. Loading the compiler for it would be a circle where torch's
own modules are half imported and look for the place of a definition.
"""


class _Compiled(type):
    """Type of a class that has no instances while the compiler is not loaded."""

    def __instancecheck__(cls, instance: object) -> bool:
        module = sys.modules[NAME]
        return not isinstance(module, Deferred) and isinstance(instance, module.OptimizedModule)


class Deferred(ModuleType):
    """Stands for torch._dynamo; the first question beyond the three below puts the real module in its place.

    Lightning imports the class of compiled modules, and every optimizer marks its methods as not to be traced, which
    means nothing while nothing is traced. The real module takes 1.3 CPU seconds (sympy, triton, distributed tensors).
    """

    class OptimizedModule(metaclass=_Compiled):
        """The class of compiled modules."""

    @staticmethod
    def disable(fn: Callable[..., Any] | None = None, *how: Any, **named: Any) -> Callable[..., Any]:
        """A function that no trace enters; without one, the decorator that makes it."""
        if fn is None:
            return lambda function: Deferred.disable(function, *how, **named)

        def untraced(*args: Any, **kwargs: Any) -> Any:
            module = sys.modules[NAME]
            wanted = fn if isinstance(module, Deferred) else module.disable(fn, *how, **named)
            return wanted(*args, **kwargs)

        return untraced

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """The end of a trace, where there is one."""

    def __getattr__(self, name: str) -> Any:
        if name in OF_EVERY_MODULE:
            raise AttributeError(name)
        if f"{NAME}.{name}" == CONFIG:
            return importlib.import_module(CONFIG)
        return getattr(_load(), name)


class DeferredUtils(ModuleType):
    """Stands for torch._dynamo.utils until something beyond its name, or its one function's answer, is asked for."""

    @staticmethod
    def is_compile_supported(device_type: Any) -> Any:
        """The real function's answer."""
        return _part(UTILS).is_compile_supported(device_type)

    def __getattr__(self, name: str) -> Any:
        if name in (*OF_EVERY_MODULE, "__path__"):  # the last by a statement "from ... import", of packages
            raise AttributeError(name)
        return getattr(_part(UTILS), name)


class _Parts(MetaPathFinder, Loader):
    """Finds the parts of torch._dynamo once its real module is there, which imports most of them itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{NAME}.") or not isinstance(sys.modules.get(NAME), Deferred):
            return None
        if fullname == CONFIG:
            import torch

            return importlib.util.spec_from_file_location(fullname, f"{torch.__path__[0]}/_dynamo/config.py")
        _load()
        found = importlib.util.find_spec(fullname)
        if fullname not in sys.modules:
            return found
        return ModuleSpec(fullname, self, loader_state=found)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def defer_compiler() -> None:
    """Puts the stand-in where torch._dynamo is not loaded yet."""
    if NAME not in sys.modules:
        module = Deferred(NAME)
        module.__path__ = []  # it has parts, and _Parts finds them
        sys.modules[NAME], sys.modules[UTILS] = module, DeferredUtils(UTILS)
        sys.meta_path.insert(0, _Parts())


def _load() -> ModuleType:
    """The real module; settings that were read or made before it stay the ones that it has."""
    if isinstance(sys.modules.get(NAME), Deferred):
        del sys.modules[NAME], sys.modules[UTILS]
        if settings := sys.modules.get(CONFIG):
            import torch

            spec = importlib.util.find_spec(NAME)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            module.__dict__["config"] = settings
            sys.modules[NAME] = torch._dynamo = module
            spec.loader.exec_module(module)
    return importlib.import_module(NAME)


def _part(name: str) -> ModuleType:
    """A part of the real module."""
    _load()
    return importlib.import_module(name)
