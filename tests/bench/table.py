#!/usr/bin/env python3
"""The table and the plots' data of one benchmark run.

usage: table.py RESULTS_FOLDER SET…

Reads RESULTS_FOLDER/SET.csv (the lines that measure.h describes, of all engines), prints a table for each set, writes
SET.table, SET.points (gnuplot: one block per engine, recall and queries/s) and SET.bars.

Queries/s at a recall are interpolated in log(queries/s) along the best settings; an engine whose quickest setting is
already better than the recall asked for gets that setting's rate, marked "+".
"""
import math
import pathlib
import sys

TARGETS = (0.95, 0.99)
REFERENCE = "hnswlib"
PROMISE = "recall "
FACTS = [("build s", "build s", "{:.1f}"), ("build CPU s", "CPU s", "{:.1f}"),
         ("insert rows/s", "rows/s", "{:.0f}"), ("disk MB", "disk MB", "{:.0f}"),
         ("build peak MB", "peak MB", "{:.0f}"),
         ("first answer ms", "open ms", "{:.1f}"), ("serve own MB", "own MB", "{:.0f}"),
         ("serve mapped MB", "mapped MB", "{:.0f}")]

BUSY = 0.1
# What shardex maps, by its own count: what every query walks through, and what it picks from.
HOT = ("code MB", "id MB", "directory MB", "anonymous MB")
COLD = ("refine MB", "vector MB")

NOTES = f"""
Queries/s: CPU time, one thread, k = 10, at that recall@10; ratio: to {REFERENCE}. p50/99: microseconds at the first
setting that reaches the recall. recall: the best measured. open: new process, files in the page cache, until the first
answer. rows/s: inserting only. own and mapped: memory of the process that answers. *: from an earlier run. ~: built
while others took more than {BUSY:.0%} of the machine; compare CPU s."""


class Engine:
    def __init__(self, name):
        self.name, self.facts, self.settings, self.promises = name, {}, [], []

    def best_settings(self):
        """The settings that no other beats in both recall and speed, by rising recall: (recall, qps, p50, p99)."""
        best = []
        for recall, qps, p50, p99 in sorted(self.settings, key=lambda one: (-one[0], -one[1])):
            if not best or qps > best[-1][1]:
                best.append((recall, qps, p50, p99))
        return best[::-1]

    def at(self, target):
        """(queries/s at a recall, whether that is a lower bound), or None if it is never reached."""
        best = self.best_settings()
        above = [one for one in best if one[0] >= target]
        below = [one for one in best if one[0] < target]
        if not above:
            return None
        if not below:
            return above[0][1], True
        (low, low_qps), (high, high_qps) = below[-1][:2], above[0][:2]
        share = (target - low) / (high - low)
        return math.exp(math.log(low_qps) * (1 - share) + math.log(high_qps) * share), False

    def fact(self, name, form):
        """A fact as a cell: "*" from an earlier build, "~" built on a busy machine."""
        if name not in self.facts:
            return "-"
        built = name in ("build s", "build CPU s", "insert rows/s", "build peak MB")
        star = "*" if built and "kept" in self.facts else ""
        busy = "~" if name in ("build s", "insert rows/s") and self.facts.get("others", 0) > BUSY else ""
        return form.format(self.facts[name]) + busy + star

    def latency(self, target):
        above = [one for one in self.best_settings() if one[0] >= target]
        return above[0][2:] if above else None


def read_engines(path):
    engines = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, name, *fields = line.split(",")
        engine = engines.setdefault(name, Engine(name))
        if kind == "fact":
            engine.facts[fields[0]] = float(fields[1])
        elif kind == "query":
            recall, cpu_qps, _, p50, p99 = map(float, fields[1:])
            engine.settings.append((recall, cpu_qps, p50, p99))
            if fields[0].startswith(PROMISE):
                engine.promises.append((fields[0].removeprefix(PROMISE), recall))
    return list(engines.values())


def speed_cells(engine, reference, target):
    here = engine.at(target)
    if here is None:
        return ["-", "-"]
    there = reference.at(target) if reference else None
    cells = [f"{here[0]:.0f}" + ("+" if here[1] else "")]
    return cells + [f"{here[0] / there[0]:.2f}" if there else "-"]


def row_of(engine, reference):
    cells = [engine.name]
    for target in TARGETS:
        cells += speed_cells(engine, reference, target)
    for target in TARGETS:
        latency = engine.latency(target)
        cells.append("{:.0f}/{:.0f}".format(*latency) if latency else "-")
    cells.append(f"{max(one[0] for one in engine.settings):.4f}" if engine.settings else "-")
    return cells + [engine.fact(name, form) for name, _, form in FACTS]


def table_of(engines):
    reference = next((engine for engine in engines if engine.name.rstrip("*") == REFERENCE), None)
    head = ["engine"]
    for target in TARGETS:
        head += [f"qps@{target}", "ratio"]
    head += [f"p50/99@{target}" for target in TARGETS] + ["recall"] + [title for _, title, _ in FACTS]
    rows = [head] + [row_of(engine, reference) for engine in engines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return "\n".join(lines[:1] + ["-" * len(lines[0])] + lines[1:]) + "\n"


def promises_of(engines):
    """For engines that are asked for a recall: what was asked for, and what came."""
    return "".join(f"\n{engine.name}, recall asked for and found: "
                   + ", ".join(f"{asked} {found:.4f}" for asked, found in engine.promises) + "\n"
                   for engine in engines if engine.promises)


def parts_of(engines):
    """For engines that say what their mapped files consist of."""
    text = ""
    for engine in engines:
        if all(name in engine.facts for name in HOT + COLD):
            parts = [", ".join(f"{name.removesuffix(' MB')} {engine.facts[name]:.1f}" for name in names)
                     for names in (HOT, COLD)]
            hot = sum(engine.facts[name] for name in HOT)
            text += f"\n{engine.name}, MB of the index: {hot:.1f} hot ({parts[0]}); mapped ({parts[1]})\n"
    return text


def write_points(path, engines):
    blocks = []
    for engine in engines:
        points = [f"{recall:.5f} {qps:.1f}" for recall, qps, _, _ in engine.best_settings()]
        if points:
            blocks.append("\n".join([f'"{engine.name}"'] + points))
    path.write_text("\n\n\n".join(blocks) + "\n", encoding="utf-8")


def write_bars(path, engines):
    lines = [f'"{engine.name}" {engine.facts["build s"]:.3f} {engine.facts["build peak MB"]:.3f} '
             f'{engine.facts["serve own MB"] + engine.facts["serve mapped MB"]:.3f}'
             for engine in engines if "build s" in engine.facts and "serve own MB" in engine.facts]
    path.write_text("\n".join(lines + [""]), encoding="utf-8")


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        engines = read_engines(folder / f"{name}.csv")
        title = (folder / "data" / name / "title").read_text(encoding="utf-8").strip()
        text = f"\n{title}\n\n{table_of(engines)}{promises_of(engines)}{parts_of(engines)}"
        (folder / f"{name}.table").write_text(text.lstrip(), encoding="utf-8")
        write_points(folder / f"{name}.points", engines)
        write_bars(folder / f"{name}.bars", engines)
        print(text, end="")
    print(NOTES)


if __name__ == "__main__":
    main()
