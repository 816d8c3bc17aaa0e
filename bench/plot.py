#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what `attend bench --json FILE` wrote, from those lines alone.

    bench/plot.py build/bench/cpu-prefill.jsonl [more.jsonl ...] [--out FOLDER]

writes, named after the first file and beside it unless --out says otherwise:
    NAME.md         every case with its figures and bars, missed bars first
    NAME.png        GFLOP/s against sequence length, panels of head dimension x mask, with peaks and baselines
    NAME-bars.png   how far every case is above or below its bar
Of cases that were measured more than once the last one counts. Needs matplotlib for the pictures (Debian: python3-matplotlib).
"""
import argparse
import json
import math
import os
import re
import statistics
import sys

REQUIRED = ("suite", "problem", "kernel", "isa", "threads", "median_s", "p10_s", "p90_s", "gflops", "peak_gflops", "share",
            "gbps", "peak_gbps", "workspace_bytes", "error_ratio", "machine", "date", "commit")


class BadLine(Exception):
    """A line that is no record; says file, line and what is missing."""


def read_records(paths):
    """Records of all files, the last of each (suite, group, problem, kernel, threads)."""
    latest = {}
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadLine(f"{path}:{number}: not JSON: {error}") from None
                missing = [name for name in REQUIRED if not isinstance(record, dict) or name not in record]
                if missing:
                    raise BadLine(f"{path}:{number}: field '{missing[0]}' is missing, expected one record of attend bench per line")
                key = tuple(record.get(name) for name in ("suite", "group", "problem", "kernel", "threads"))
                latest.pop(key, None)  # a later measurement also takes the later place
                latest[key] = record
    return list(latest.values())


def fields_of(problem):
    """The key=value pairs of a Problem line, with the defaults that matter here."""
    fields = {"b": "1", "hq": "1", "mask": "none", "dtype": "f32"}
    fields.update(part.split("=", 1) for part in problem.split()[1:] if "=" in part)
    fields.setdefault("hk", fields["hq"])
    fields.setdefault("dv", fields.get("d", "0"))
    return fields


def timed(records):
    return [record for record in records if record.get("state", "timed") == "timed" and record["median_s"]]


def seconds_text(seconds):
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def bytes_text(count):
    if count is None:
        return ""
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


# ---------------------------------------------------------------------------------------------------------------- Markdown

def bar_rows(records):
    """(record, bar) for each judged bar."""
    return [(record, bar) for record in records for bar in record.get("bars", [])]


def margin(bar):
    """1 is just met, below 1 missed."""
    if not bar["value"]:
        return math.inf if "<=" in bar["bar"] else 0.0
    return bar["limit"] / bar["value"] if "<=" in bar["bar"] else bar["value"] / bar["limit"]


def markdown(records, title):
    done = timed(records)
    bars = bar_rows(done)
    missed = [(record, bar) for record, bar in bars if not bar["met"]]
    lines = [f"# {title}", ""]
    for name in ("machine", "commit"):
        lines.append(f"- {name}: {', '.join(sorted({record[name] for record in records}))}")
    dates = sorted(record["date"] for record in records)
    lines.append(f"- measured: {dates[0]} to {dates[-1]}")
    ours = [record for record in done if record_is_ours(record)]
    for name, field in (("f32 FMA", "peak_fma_f32_gflops"), ("bf16 dot", "peak_dot_bf16_gflops")):
        for isa, threads in sorted({(record["isa"], record["threads"]) for record in ours if record.get(field)}):
            peaks = [r[field] for r in ours if r.get(field) and (r["isa"], r["threads"]) == (isa, threads)]
            lines.append(f"- peak, {name}, {isa}, {threads} thread{'s' if threads > 1 else ''}: median "
                         f"{statistics.median(peaks):.1f} GFLOP/s ({min(peaks):.1f} to {max(peaks):.1f} over {len(peaks)} cases)")
    lines += ["", f"Bars: {len(bars) - len(missed)} met, {len(missed)} missed.", ""]
    if missed:
        lines += ["| missed | threads | bar | found |", "|---|---|---|---|"]
        lines += [f"| `{record['problem']}` | {record['threads']} | {bar['bar']} | {bar['value']:.3g} |" for record, bar in missed]
        lines.append("")
    for record in records:
        if record.get("state", "timed") != "timed":
            lines.append(f"- {record['state']}: `{record['problem']}` ({record.get('reason', '')})")
    groups = {}
    for record in done:
        groups.setdefault(record.get("group", ""), []).append(record)
    for group, members in groups.items():
        lines += ["", f"## {group or 'cases'}", "",
                  "| problem | kernel | threads | median | p10 to p90 | GFLOP/s | peak | share | of the peak alone | GB/s | workspace | error / bound | bars |",
                  "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
        for record in members:
            share = f"{100 * record['share']:.1f} %" if record["share"] else ""
            alone = f"{100 * record['share_alone']:.1f} %" if record.get("share_alone") else ""
            peak = f"{record['peak_gflops']:.1f}" if record["peak_gflops"] else ""
            error = "" if record["error_ratio"] is None else f"{record['error_ratio']:.2g}"
            judged = "; ".join(f"{'met' if bar['met'] else '**missed**'} {bar['bar']} ({bar['value'] or 0:.3g})"
                               for bar in record.get("bars", []))
            lines.append(f"| `{record['problem'].removeprefix('attention_fwd ')}` | {record['kernel']} | {record['threads']} | "
                         f"{seconds_text(record['median_s'])} | {seconds_text(record['p10_s'])} to {seconds_text(record['p90_s'])} | "
                         f"{record['gflops']:.1f} | {peak} | {share} | {alone} | {record['gbps'] or 0:.2f} | "
                         f"{bytes_text(record['workspace_bytes'])} | {error} | {judged} |")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------- pictures

def record_is_ours(record):
    return record["kernel"].startswith("attention_fwd.")


def series_of(record, fields):
    """Name of the line that a record belongs to."""
    if not record_is_ours(record):
        return record["kernel"].replace("_", " ") + " " + fields["dtype"]
    group = record.get("group", "")
    forced = " (AVX2)" if group.endswith("AVX2") else " (dot)" if group.endswith("dot kernel") else ""
    return "attend " + fields["dtype"] + forced


def length_points(records):
    """{(threads, d, mask): {series: {n: gflops}}} of the square problems without anything special."""
    panels = {}
    for record in timed(records):
        fields = fields_of(record["problem"])
        plain = fields["mask"] in ("none", "causal") and fields.get("sq") == fields.get("sk") and fields["dv"] == fields["d"]
        extra = set(fields) - {"b", "hq", "hk", "sq", "sk", "d", "dv", "dtype", "mask", "layout"}
        if not plain or extra or fields["hq"] != fields["hk"] or fields["d"] not in ("64", "128"):
            continue
        n = int(fields["sq"])
        if n & (n - 1):
            continue
        panel = panels.setdefault((record["threads"], int(fields["d"]), fields["mask"]), {"series": {}, "peaks": {}})
        panel["series"].setdefault(series_of(record, fields), {})[n] = record["gflops"]
        if record_is_ours(record) and "AVX2" not in record.get("group", ""):
            for name, field in (("f32 FMA peak", "peak_fma_f32_gflops"), ("bf16 dot peak", "peak_dot_bf16_gflops")):
                if record.get(field):
                    panel["peaks"].setdefault(name, []).append(record[field])
    return panels


STYLES = {"attend f32": ("#1f77b4", "o", "-"), "attend bf16": ("#d62728", "s", "-"), "attend f16": ("#2ca02c", "^", "-."),
          "attend bf16 (dot)": ("#ff9896", "s", ":"), "attend f32 (AVX2)": ("#17becf", "v", ":"), "openblas unfused f32": ("#7f7f7f", "x", "-")}


def draw_lengths(records, title, path, plt):
    """GFLOP/s against sequence length; returns False when no record fits such a plot."""
    panels = length_points(records)
    if not panels:
        return False
    points = {}
    for (threads, _, _), panel in panels.items():
        points[threads] = points.get(threads, 0) + sum(len(line) for line in panel["series"].values())
    threads = max(points, key=lambda count: (points[count], -count))
    shown = {key[1:]: panel for key, panel in panels.items() if key[0] == threads}
    columns = sorted({d for d, _ in shown})
    masks = [mask for mask in ("none", "causal") if any(key[1] == mask for key in shown)]
    figure, axes = plt.subplots(len(masks), len(columns), figsize=(6.2 * len(columns), 4.2 * len(masks) + 0.8), squeeze=False)
    others = iter(("#9467bd", "#8c564b", "#e377c2", "#bcbd22"))
    styles = dict(STYLES)
    handles = {}
    for row, mask in enumerate(masks):
        for column, d in enumerate(columns):
            axis = axes[row][column]
            panel = shown.get((d, mask), {"series": {}, "peaks": {}})
            for name in sorted(panel["series"], key=lambda each: (list(STYLES).index(each) if each in STYLES else 99, each)):
                if name not in styles:
                    styles[name] = (next(others, "#000000"), "d", "-")
                color, marker, dash = styles[name]
                line = sorted(panel["series"][name].items())
                handles[name], = axis.plot([n for n, _ in line], [rate for _, rate in line], color=color, marker=marker,
                                           linestyle=dash, linewidth=1.8, markersize=5, label=name)
            for name, color in (("f32 FMA peak", "#1f77b4"), ("bf16 dot peak", "#d62728")):
                if name in panel["peaks"]:
                    handles[name] = axis.axhline(statistics.median(panel["peaks"][name]), color=color, linestyle="--", linewidth=1,
                                                 label=name)
            lengths = sorted({n for line in panel["series"].values() for n in line})
            axis.set_xscale("log", base=2)
            axis.set_xticks(lengths)
            axis.set_xticklabels([f"{n // 1024}k" if n >= 1024 else str(n) for n in lengths])
            axis.minorticks_off()
            axis.set_ylim(bottom=0)
            axis.grid(True, axis="y", color="#dddddd", linewidth=0.7)
            axis.set_axisbelow(True)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
            axis.set_title(f"head dimension {d}, {'full' if mask == 'none' else mask}", fontsize=11)
            if column == 0:
                axis.set_ylabel("GFLOP/s over visible pairs")
            if row == len(masks) - 1:
                axis.set_xlabel("sequence length")
    machine = records[0]["machine"]
    figure.suptitle(f"{title}: {threads} thread{'s' if threads > 1 else ''} of {machine}", fontsize=12)
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=min(4, len(handles)), frameon=False)
    figure.tight_layout(rect=(0, 0.04 + 0.025 * math.ceil(len(handles) / 4), 1, 0.97))
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def draw_bars(records, title, path, plt):
    """One row per group and bar, one dot per case: its value over the limit (inverted where small is good)."""
    rows = {}
    for record, bar in bar_rows(timed(records)):
        what = re.sub(r" (over|of) (N|d)=\d+", " over aligned size", bar["bar"])
        rows.setdefault((record.get("group", ""), what), []).append((margin(bar), bar["met"], record["threads"]))
    # All workspaces are one row: they differ by size, not by kind.
    merged = {}
    for (group, what), dots in rows.items():
        key = ("every case", what) if what.startswith("workspace") else (group, what)
        merged.setdefault(key, []).extend(dots)
    if not merged:
        return False
    figure, axis = plt.subplots(figsize=(11, 1.6 + 0.3 * len(merged)))
    labels = []
    for at, ((group, what), dots) in enumerate(merged.items()):
        values = [min(value, 2.0) for value, _, _ in dots]
        colors = ["#2ca02c" if met else "#d62728" for _, met, _ in dots]
        axis.plot([min(values), max(values)], [at, at], color="#cccccc", linewidth=2, zorder=1)
        axis.scatter(values, [at] * len(values), c=colors, s=26, zorder=2, edgecolors="white", linewidths=0.5)
        met = sum(1 for dot in dots if dot[1])
        labels.append(f"{group}: {what}   {met}/{len(dots)}")
    axis.axvline(1, color="black", linewidth=1)
    axis.set_yticks(range(len(labels)))
    axis.set_yticklabels(labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(left=min(0.8, min(min(value for value, _, _ in dots) for dots in merged.values()) - 0.02), right=2.03)
    axis.set_xlabel("found over bar (inverted where small is good; 1 is just met, 2 or more drawn at 2)")
    axis.grid(True, axis="x", color="#eeeeee")
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_title(f"{title}: bars, green met, red missed", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def pyplot(script):
    """matplotlib for files, or None after saying why. May start `script` again, with the Python that has it."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        return plt
    except ImportError as error:
        # Debian's matplotlib is seen by Debian's Python alone, which need not be the first in PATH.
        debian = "/usr/bin/python3"
        if os.path.exists(debian) and "ATTEND_PLOT_AGAIN" not in os.environ:
            os.execve(debian, [debian, os.path.abspath(script), *sys.argv[1:]], {**os.environ, "ATTEND_PLOT_AGAIN": "1"})
        print(f"plot: no pictures without matplotlib (Debian: python3-matplotlib): {error}", file=sys.stderr)
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="JSON lines of attend bench")
    parser.add_argument("--out", help="folder for what is written")
    options = parser.parse_args()
    try:
        records = read_records(options.files)
    except (BadLine, OSError) as error:
        print(f"plot: {error}", file=sys.stderr)
        return 2
    if not records:
        print(f"plot: {options.files[0]} holds no record, expected lines of attend bench --json", file=sys.stderr)
        return 2
    name = os.path.splitext(os.path.basename(options.files[0]))[0]
    folder = options.out or os.path.dirname(options.files[0]) or "."
    os.makedirs(folder, exist_ok=True)
    title = "attend bench " + ", ".join(sorted({record["suite"] for record in records}))
    table = os.path.join(folder, name + ".md")
    with open(table, "w", encoding="utf-8") as file:
        file.write(markdown(records, title))
    plt = pyplot(__file__)
    if plt is None:
        print(table)
        return 1
    print(table)
    for draw, end in ((draw_lengths, ".png"), (draw_bars, "-bars.png")):
        path = os.path.join(folder, name + end)
        if draw(records, title, path, plt):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
