#!/usr/bin/env python3
"""Makes every stream under tests/data/streams from the vendors' own types, manifest.json and the README's list.

Refuses to decode: run decode.py afterwards. `--check` writes nothing and fails on any difference.
"""

import argparse
import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Iterator

from cases import Case

MARK = "<!-- made by make.py from here on -->\n"
ROOT = Path(__file__).resolve().parent.parent
VENDORS = {
    "anthropic": ("cases.anthropic_messages", "sse"),
    "openai-responses": ("cases.openai_responses", "sse"),
    "openai-chat": ("cases.openai_chat", "sse"),
    "gemini": ("cases.gemini", "sse"),
    "ollama": ("cases.ollama_chat", "ndjson"),
}


def all_cases() -> Iterator[tuple[str, str, Case]]:
    """Every case with its vendor and the suffix of its file."""
    for vendor, (module, suffix) in VENDORS.items():
        for case in importlib.import_module(module).cases():
            yield vendor, suffix, case


def build() -> tuple[dict[Path, bytes], list[dict]]:
    """All files by path, and the manifest's rows."""
    files: dict[Path, bytes] = {}
    rows: list[dict] = []
    for vendor, suffix, case in all_cases():
        path = ROOT / vendor / f"{case.name}.{suffix}"
        if path in files:
            raise SystemExit(f"two cases have the same name: `{vendor}/{case.name}`")
        if (case.expect is None) != (case.quirk is None):
            raise SystemExit(f"a quirk needs its expectation, and the other way round: `{vendor}/{case.name}`")
        files[path] = case.body
        row = {"vendor": vendor, "case": case.name, "file": f"{vendor}/{case.name}.{suffix}",
               "bytes": len(case.body), "source": case.source, "quirk": case.quirk is not None}
        if case.shows:
            row["shows"] = case.shows
        rows.append(row)
    return files, rows


def page(rows: list[dict]) -> bytes:
    """The README, its last section made anew."""
    path = ROOT / "README.md"
    head, found, _ = path.read_text().partition(MARK)
    if not found:
        raise SystemExit(f"the mark is gone from: `{path.name}`")
    pins = [line for line in (ROOT / "tools/requirements.txt").read_text().split("\n\n")[0].splitlines()
            if "==" in line]
    out = ["", "The SDKs: " + ", ".join(f"`{pin.replace('==', ' ')}`" for pin in pins) + ".", "",
           "| Vendor | Cases | `sdk` | `hand` | Expectation by hand | Bytes |", "|---|---:|---:|---:|---:|---:|"]
    for name in [*VENDORS, "all"]:
        mine = [row for row in rows if name in (row["vendor"], "all")]
        sources = Counter(row["source"] for row in mine)
        out.append(f"| {name} | {len(mine)} | {sources['sdk']} | {sources['hand']} | "
                   f"{sum(row['quirk'] for row in mine)} | {sum(row['bytes'] for row in mine)} |")
    out += ["", "Made by hand (in bold: with an expectation by hand too):", ""]
    for vendor in VENDORS:
        names = [f"**{row['case']}**" if row["quirk"] else row["case"]
                 for row in rows if row["vendor"] == vendor and row["source"] == "hand"]
        out.append(f"- {vendor}: {', '.join(names)}.")
    also = [f"{row['vendor']}/{row['case']}" for row in rows if row["quirk"] and row["source"] == "sdk"]
    out += ["", f"Made by an SDK's types, and yet with an expectation by hand: {', '.join(also)}.", ""]
    return (head + MARK + "\n".join(out)).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    files, rows = build()
    files[ROOT / "manifest.json"] = ("[\n" + ",\n".join(
        json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n").encode()
    files[ROOT / "README.md"] = page(rows)
    stale = [path for vendor in VENDORS for path in sorted((ROOT / vendor).glob("*"))
             if path not in files and not path.name.endswith(".expected.json")]
    names = {(row["vendor"], row["case"]) for row in rows}
    stale += [path for vendor in VENDORS for path in sorted((ROOT / vendor).glob("*.expected.json"))
              if (vendor, path.name.removesuffix(".expected.json")) not in names]
    wrong = [path for path, body in files.items() if not path.exists() or path.read_bytes() != body]
    if check:
        for path in wrong:
            print(f"differs from what the SDK's types make: `{path.relative_to(ROOT)}`", file=sys.stderr)
        for path in stale:
            print(f"belongs to no case: `{path.relative_to(ROOT)}`", file=sys.stderr)
        if wrong or stale:
            return 1
    else:
        for path in wrong:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path])
        for path in stale:
            path.unlink()
    for vendor in VENDORS:
        count = Counter(row["source"] for row in rows if row["vendor"] == vendor)
        print(f"{vendor}: {sum(count.values())} cases, {count['sdk']} by the SDK's types, {count['hand']} by hand")
    return 0


if __name__ == "__main__":
    sys.exit(main())
