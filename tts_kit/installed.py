"""Voices by their names: those that come with the package, and those of the user's folders.

Standard library only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tts_kit.errors import VoiceError
from tts_kit.voice_archive import SUFFIX
from tts_kit.voice_info import METADATA_FILE

DEFAULT = "kathleen"  # what `tts-kit say` speaks with
FOLDERS = "TTS_KIT_VOICES"  # environment variable: folders of voices, as in PATH
SHIPPED = Path(__file__).parent / "voices"

_NAME = re.compile(r"\w[\w.-]*")


def find_voice(name: str) -> Path:
    """The voice that a user calls ``name``: an existing path, else an installed voice.

    What looks like a path is handed back as it is, for ``open_voice`` to judge. VoiceError (code
    ``missing``) for a name that no voice has.
    """
    if os.path.exists(name):
        return _unhidden(Path(name))
    if not _NAME.fullmatch(name) or name.endswith(SUFFIX):
        return Path(name)
    return installed_voice(name)


def installed_voice(name: str) -> Path:
    """The installed voice ``name``, whatever lies in the working directory; VoiceError as above."""
    found = installed_voices()
    if name not in found:
        raise VoiceError(
            f"there is no voice {name[:200]!r}; installed: {', '.join(found) or 'none'}. Give one "
            f"of these, a path such as ./{name[:200]}, or a folder of voices in {FOLDERS}; "
            "`tts-kit export` makes voices",
            code="missing",
        )
    return found[name]


def installed_voices() -> dict[str, Path]:
    """All voices that have a name, sorted by it.

    A folder of ``TTS_KIT_VOICES`` comes before those behind it and before the package's own.
    """
    found: dict[str, Path] = {}
    for folder in (*_users_folders(), SHIPPED):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _is_voice(path) and _NAME.fullmatch(path.name):
                found.setdefault(path.name.removesuffix(SUFFIX), path)
    return dict(sorted(found.items()))


def _users_folders() -> list[Path]:
    return [Path(part) for part in os.environ.get(FOLDERS, "").split(os.pathsep) if part]


def _is_voice(path: Path) -> bool:
    """Whether it may be one; what is in it ``open_voice`` checks."""
    return path.suffix == SUFFIX or (path / METADATA_FILE).is_file()


def _unhidden(path: Path) -> Path:
    """``path``, which exists, unless it is a folder without a voice that hides an installed one."""
    name = str(path)
    if path.is_dir() and not _is_voice(path) and name in (found := installed_voices()):
        raise VoiceError(
            f"the folder {name!r} is not a voice, it has no {METADATA_FILE}, and hides the "
            f"installed voice of this name; for that one give {found[name]}",
            code="not-a-voice",
        )
    return path
