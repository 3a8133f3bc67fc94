#!/usr/bin/env python3
"""Prints the tables of the README's section on speed, to be copied there.

usage: readme.py RESULTS_FOLDER SET…

Reads what run.sh has left in RESULTS_FOLDER (build/bench); table.py says what the figures mean.
"""
import pathlib
import sys

import table

NAMES = {"shardex": "**shardex**", "hnswlib": "hnswlib (M 16, efConstruction 200)", "faiss-IVF": "faiss IVF",
         "sqlite-vec": "sqlite-vec (exact)", "sqlite-vector-8bit": "sqlite-vector (8 bit)",
         "sqlite-vector-full": "sqlite-vector (exact)", "libsql": "libSQL (DiskANN)"}
HEAD = ("engine", "queries/s at recall 0.95", "at 0.99", "build, s", "rows/s", "first answer, ms", "memory, MB",
        "disk, MB")


def speed(engine, reference, target):
    here = engine.at(target)
    if here is None:
        return "-"
    text = f"{here[0]:,.0f}"
    there = reference.at(target) if reference else None
    if engine.name != "shardex":
        return text
    return f"**{text}**" + (f" ({here[0] / there[0]:.1f} ×)" if there else "")


def escaped(engine, name, form):
    return engine.fact(name, form).replace("*", "\\*").replace("~", "\\~")


def line_of(engine, reference):
    """Memory: the peak while building / own and mapped of the process that answers."""
    parts = [engine.facts[name] for name in ("serve own MB", "serve mapped MB") if name in engine.facts]
    memory = escaped(engine, "build peak MB", "{:,.0f}") + (f" / {sum(parts):,.0f}" if parts else " / -")
    bare = engine.name.rstrip("*")
    name = NAMES.get(bare, bare) + engine.name[len(bare):].replace("*", "\\*")
    return [name, *(speed(engine, reference, target) for target in table.TARGETS),
            escaped(engine, "build s", "{:,.0f}"), escaped(engine, "insert rows/s", "{:,.0f}"),
            escaped(engine, "first answer ms", "{:.3g}"), memory, escaped(engine, "disk MB", "{:,.0f}")]


def markdown_of(engines):
    reference = next((engine for engine in engines if engine.name.rstrip("*") == table.REFERENCE), None)
    fastest = sorted((engine for engine in engines if engine.settings),
                     key=lambda engine: -(engine.at(table.TARGETS[0]) or (0,))[0])
    rows = [HEAD, ["---"] * len(HEAD)] + [line_of(engine, reference) for engine in fastest]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        title = (folder / "data" / name / "title").read_text(encoding="utf-8").strip()
        print(f"{title}:\n\n{markdown_of(table.read_engines(folder / f'{name}.csv'))}\n")


if __name__ == "__main__":
    main()
