"""How a text is read, step by step, as lines for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tts_kit.text.frontend import Encoded, Frontend
from tts_kit.text.lexicon import Lexicon


def report(
    frontend: Frontend, text: str, *, lexicon: Lexicon | None, as_json: bool
) -> Iterator[str]:
    """One JSON object, or a few lines, a piece of ``text``."""
    for number, piece in enumerate(frontend.sentences(text, lexicon=lexicon), start=1):
        facts = _facts(frontend, piece, text)
        if as_json:
            yield json.dumps(facts)
            continue
        yield f"{number:3} normalized  {facts['normalized']}"
        yield f"    symbols     {' '.join(facts['symbols'])}"
        yield f"    tokens      {' '.join(map(str, facts['tokens']))}"
        if spoken := [w for w in facts["words"] if w["text"]]:
            yield "    words       " + ", ".join(
                f"{w['text']} [{' '.join(w['symbols'])}]" for w in spoken
            )
        for dropped in facts["dropped"]:
            yield f"    dropped     {dropped['code']} at {dropped['position']}"
        if piece.pause is not None:
            yield f"    pause       {piece.pause:.2f} s before"
        if (piece.rate, piece.gain) != (1.0, 1.0):
            yield f"    manner      rate {piece.rate:.2f}, gain {piece.gain:.2f}"


def _facts(frontend: Frontend, piece: Encoded, text: str) -> dict[str, Any]:
    symbols = [frontend.symbols[token] for token in piece.tokens]
    return {
        "normalized": piece.normalized,
        "symbols": symbols,
        "tokens": list(piece.tokens),
        "words": [
            {
                "text": text[word.start : word.end],
                "spoken": word.text,
                "start": word.start,
                "end": word.end,
                "tokens": [word.token_start, word.token_end],
                "symbols": symbols[word.token_start : word.token_end],
            }
            for word in piece.words
        ],
        "dropped": [
            {"code": f"U+{ord(d.character):04X}", "position": d.position} for d in piece.dropped
        ],
        "pause": piece.pause,
        "complete": piece.complete,
        "rate": piece.rate,
        "gain": piece.gain,
    }
