"""Addresses and names of machines: URLs, e-mail, @handles, #tags, file names, paths."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.acronyms import AS_WORDS, is_spelled
from tts_kit.text.scanner import Scanner

_TLDS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|co|uk|de|fr|es|it|nl|eu|ca|au|jp|ch|at|be|se|no|"
    "fi|dk|pl|ru|cn|in|br|us|tv|me|dev|app|ai|ly|fm|xyz|example|test|localhost"
)
_EXTENSIONS = (
    "txt|pdf|docx?|xlsx?|pptx?|csv|tsv|jsonl?|ya?ml|toml|xml|html?|css|jsx?|tsx?|py|rb|go|rs|c|h|"
    "cpp|java|sh|bat|exe|dll|so|zip|tar|gz|bz2|xz|7z|rar|jpe?g|png|gif|svg|bmp|tiff?|webp|wav|"
    "mp3|mp4|flac|ogg|avi|mov|mkv|md|rst|tex|log|ini|cfg|conf|bak|db|sql|onnx|pt|ipynb"
)
_TAIL = r"(?::\d{1,5})?(?:[/?#][^\s\"<>()]*+)?"
_ADDRESS = re.compile(
    r"(?:(?:https?|ftp|file)://[^\s\"<>()]++"
    rf"|www\.[^\s\"<>()]++"
    r"|[A-Za-z0-9._%+-]{1,64}+@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
    rf"|(?:[A-Za-z0-9_-]{{1,63}}\.){{1,8}}(?:{_TLDS})(?![A-Za-z0-9@_-]|\.[A-Za-z0-9]){_TAIL}"
    rf"|[A-Za-z0-9_-]{{1,99}}(?:\.[A-Za-z0-9_-]{{1,40}}){{0,8}}\.(?:{_EXTENSIONS})(?![A-Za-z0-9@_-])"
    r"|(?:[A-Za-z]:\\|~/|\.{1,2}/|/(?=[A-Za-z]))[A-Za-z0-9_./\\~-]*+"
    r"|[A-Za-z][A-Za-z0-9]{0,40}(?:_{1,2}[A-Za-z0-9]{1,40}){1,20})"
)
_SCHEME = re.compile(r"(?:https?|ftp|file)://")
_ABBREVIATED = re.compile(r"(?:[A-Za-z]\.){1,9}[A-Za-z]\Z")
_TAG = re.compile(r"([#@])([A-Za-z0-9_]{1,100}+)(?![A-Za-z0-9_])")
_NUMBER_SIGN = re.compile(r"# ?\d++(?![A-Za-z_])")
_PIECE = re.compile(r"[A-Z]?[a-z]++|[A-Z]++(?![a-z])|[A-Z]|\d++|.", re.DOTALL)
SIGN_NAMES = {
    **{".": "dot", "/": "slash", "\\": "backslash", "-": "dash", "_": "underscore", "@": "at"},
    **{":": "colon", "?": "question mark", "=": "equals", "&": "and", "#": "hash", "+": "plus"},
    **{"%": "percent", "~": "tilde", ",": "comma", ";": "semicolon", "!": "exclamation mark"},
    **{"$": "dollar", "*": "star", "|": "bar", "^": "caret"},
}
# Endings that are said as words although they are short or hold no vowel.
_SAID = frozenset("com org net gov edu info biz tar zip bat log tex wav java conf example".split())


def address(scan: Scanner, start: int) -> int | None:
    """A URL, e-mail address, domain, file name, path or snake_case name, where one begins."""
    match = _ADDRESS.match(scan.text, start)
    if match is None or _ABBREVIATED.match(match[0]):
        return None
    end = start + len(match[0].rstrip(".,;:!?'"))
    scheme = _SCHEME.match(scan.text, start)
    begin = scheme.end() if scheme and scheme.end() < end else start
    _read(scan, begin, end, spanned_from=start)
    return end


def tag(scan: Scanner, start: int) -> int | None:
    """#ThrowbackThursday and @jane_doe; "#5" is number five."""
    if start and scan.text[start - 1].isalnum():
        return None
    if _NUMBER_SIGN.match(scan.text, start):
        return scan.say("number", start, start + 1)
    match = _TAG.match(scan.text, start)
    if match is None:
        return None
    if match[1] == "@":
        scan.say("at", start, start + 1)
    else:
        scan.say("hashtag", start, start + 1)
    _read(scan, match.start(2), match.end(), spanned_from=match.start(2))
    return match.end()


def _read(scan: Scanner, start: int, end: int, *, spanned_from: int) -> None:
    """Name every word, number and sign between ``start`` and ``end``."""
    begin = spanned_from
    for match in _PIECE.finditer(scan.text, start, end):
        piece = match[0]
        if piece.isdigit():
            scan.say(numbers.pairs(piece), begin, match.end())
        elif not piece.isalpha() or not piece.isascii():
            if name := SIGN_NAMES.get(piece):
                scan.say(name, begin, match.end())
            elif piece not in "'\"()<> ":
                scan.drop(begin, match.end())
        elif _is_spelled(piece):
            scan.spell(piece, begin, match.end())
        else:
            scan.say(piece.lower(), begin, match.end())
        begin = match.end()


def _is_spelled(piece: str) -> bool:
    if piece.lower() in _SAID or piece.upper() in AS_WORDS:
        return False
    if len(piece) == 2 and piece.islower() and piece.upper() not in ("MY", "GO", "ME", "IS", "TO"):
        return True
    return is_spelled(piece.upper(), shouted=not piece.isupper()) or piece in ("pdf", "exe")
