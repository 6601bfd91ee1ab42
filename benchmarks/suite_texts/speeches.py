"""Make `factory/data/speeches.json.xz` from the folders `inaugural` and `state_union` of nltk_data.

    python -m benchmarks.suite_texts.speeches FOLDER

The speeches of US presidents are in the public domain. Of each the first 12 000 characters are kept, up to the end of a
paragraph, without the heading, dates, times, captions of photographs and notes of applause.
"""

import argparse
import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path

from factory.corpora.shipped import DATA, SPEECHES_FILE

CHARACTERS = 12_000
HEADING_LINES = 4  # the date is in one of these where there is a heading
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = re.compile(rf"({MONTHS}) \d{{1,2}}, \d{{4}}\.?$")
TITLE = re.compile(r"[A-Z .,:'&]+(\d{4}\.?)?")
NOTE = re.compile(r"\d{1,2}:\d{2} [AP]\.M\. E[SD]T|.*White House photo.*|\[.*\]")
APPLAUSE = re.compile(r" *[(\[](applause|laughter|laughter and applause)\.?[)\]]", re.IGNORECASE)
SPEAKER = re.compile(r"(THE PRESIDENT|The President): +")
KINDS = {"inaugural": "inaugural address", "state_union": "State of the Union"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the folders inaugural and state_union")
    records = list(_speeches(parser.parse_args().folder))
    data = lzma.compress(json.dumps(records, ensure_ascii=False, indent=0).encode(), preset=9 | lzma.PRESET_EXTREME)
    (DATA / SPEECHES_FILE).write_bytes(data)
    print(f"{len(records)} speeches, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


def _speeches(folder: Path) -> Iterator[dict[str, str | int]]:
    for kind, title in KINDS.items():
        for file in sorted((folder / kind).glob("*.txt")):
            year, president = file.stem.split("-", 1)
            yield {"name": f"{title}, {president}", "year": int(year), "text": _excerpt(_decoded(file.read_bytes()))}


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("big5", errors="replace")  # what the addresses of 1970 to 1974 come in


def _excerpt(text: str) -> str:
    """Return the first paragraphs, one blank line between two."""
    paragraphs = [cleaned for line in _body(text) if (cleaned := _cleaned(line))]
    kept: list[str] = []
    used = 0
    for paragraph in paragraphs:
        used += len(paragraph) + 2
        if kept and used > CHARACTERS:
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def _body(text: str) -> list[str]:
    """Return the lines after the heading, which ends with a date, or is one line of capitals."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    dated = [number for number, line in enumerate(lines[:HEADING_LINES]) if len(line) < 200 and DATE.search(line)]
    if dated:
        return lines[dated[0] + 1 :]
    return lines[1:] if TITLE.fullmatch(lines[0]) else lines


def _cleaned(line: str) -> str:
    return "" if NOTE.fullmatch(line) else SPEAKER.sub("", APPLAUSE.sub("", line)).strip()


if __name__ == "__main__":
    main()
