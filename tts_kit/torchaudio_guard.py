"""The one place that imports torchaudio.

torchaudio's wheel holds a compiled extension that links CUDA. Beside a CPU build of torch (or one
for another CUDA) it fails to load and takes the whole import down, although everything used here
is plain Python. So where the import fails, it is repeated with the extension marked as absent.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any, NoReturn

from tts_kit.errors import DependencyError


def import_torchaudio() -> Any:
    """The torchaudio module; MelSpectrogram, GriffinLim and resampling work in every case."""
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError):
        if importlib.util.find_spec("torchaudio") is None:
            raise DependencyError(
                'torchaudio is not installed: pip install "tts-kit[train]"'
            ) from None
    for name in [n for n in sys.modules if n.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    sys.modules["torchaudio._extension"] = _absent_extension()
    return importlib.import_module("torchaudio")


def _absent_extension() -> types.ModuleType:
    def fail(*_args: object, **_kwargs: object) -> NoReturn:
        raise DependencyError("this torchaudio function needs a torchaudio built for your torch")

    module = types.ModuleType("torchaudio._extension")
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _IS_RIR_AVAILABLE=False,
        fail_if_no_align=lambda function: fail,  # a decorator
        lazy_import_sox_ext=fail,
    )
    return module
