#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what `attend_bench_cuda --json FILE` wrote, from those lines alone.

    bench/cuda/report.py records.jsonl [--checks checks.json] [--out FOLDER]

writes into the folder of the file unless --out says otherwise:
    report.md            what was checked, targets met and missed, every case beside its peers
    report.png           TFLOP/s against sequence length, panels of the sweeps, with peers and the cuBLAS product
    report-ablation.png  rows for comparison beside the row that plans choose
    report-targets.png   how far every case is above or below its target
In the simulator nothing is timed: then report.png shows errors over their bounds, to prove that the report can be made.
Needs matplotlib for the pictures (Debian: python3-matplotlib); without it the exit code is 1.
"""
import argparse
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from plot import REQUIRED, BadLine, fields_of, margin, pyplot, seconds_text  # noqa: E402

ROLES = ("attend", "comparison", "peer")
PEERS = ("cudnn", "flash2", "flash3")
SWEEPS = ("paper", "grouped", "short")


def read(path):
    """(header, records): the last header of the file, and of every (case, kernel) the last record."""
    header, latest = {}, {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadLine(f"{path}:{number}: not JSON: {error}") from None
            if isinstance(record, dict) and record.get("header"):
                header = record
                continue
            missing = [name for name in (*REQUIRED, "case", "role", "simulated", "ratios") if not isinstance(record, dict) or name not in record]
            if missing:
                raise BadLine(f"{path}:{number}: field '{missing[0]}' is missing, expected one record of attend_bench_cuda per line")
            latest[record["case"], record["role"], record["kernel"]] = record
    return header, list(latest.values())


def name_of(record):
    """The Problem that ran; in the simulator also the one that it stands for."""
    ran = record["problem"].removeprefix("attention_fwd ")
    return f"{ran}` for `{record['stands_for'].removeprefix('attention_fwd ')}" if "stands_for" in record else ran


def is_timed(record):
    return record["state"] == "timed" and record["median_s"] is not None


def number(value, form):
    return "" if value is None else format(value, form)


# ---------------------------------------------------------------------------------------------------------------- Markdown

def head_lines(header, records, simulated):
    lines = [f"# attend on {header.get('device') or records[0]['machine']}", ""]
    if simulated:
        lines += ["**Simulated.** Every case ran, shortened, in the PTX simulator and was compared with fp64. Nothing was timed: this "
                  "proves that the report can be made, and says nothing about speed.", ""]
    elif any("stands_for" in record for record in records):
        lines += ["**A trial.** Short versions of the cases ran (--short), to see that all of it works; their times say nothing about speed.", ""]
    lines.append(f"- commit: {', '.join(sorted({record['commit'] for record in records}))}")
    dates = sorted(record["date"] for record in records)
    lines.append(f"- measured: {dates[0]} to {dates[-1]}")
    if header.get("driver") or header.get("cuda"):
        limits = f"; at most {header['max_sm_mhz']:.0f} MHz, {header['power_limit_w']:.0f} W" if header.get("max_sm_mhz") else ""
        lines.append(f"- driver {header.get('driver') or 'not known'}, CUDA {header.get('cuda')}{limits}")
    if header.get("sensors_absent"):
        lines.append(f"- clocks, power and temperature: not known ({header['sensors_absent']})")
    for name, text in header.get("peers", {}).items():
        lines.append(f"- {name}: {text}")
    if header.get("peers_absent"):
        lines.append(f"- peers: none ({header['peers_absent']})")
    lines.append("- flops: 4 * sq * sk * d * heads * batch, half of it when causal; under other masks 4 * d for each pair that is kept")
    return lines


def check_lines(checks):
    if not checks:
        return []
    lines = ["", "## Checks", "", "| what | passed | failed | skipped | seconds |", "|---|---|---|---|---|"]
    for row in checks.get("checks", []):
        lines.append(f"| {row['name']} | {row['passed']} | {'**' if row['failed'] else ''}{row['failed']}{'**' if row['failed'] else ''} | "
                     f"{row['skipped']} | {row['seconds']:.1f} |")
    for note in checks.get("notes", []):
        lines.append(f"\n- {note}")
    return lines


def target_lines(records):
    judged = [(record, bar) for record in records for bar in record["bars"]]
    missed = sum(1 for _, bar in judged if not bar["met"])
    open_ones = [(record, text) for record in records for text in record.get("bars_not_judged", [])]
    lines = ["", "## Targets", "", f"{len(judged) - missed} met, {missed} missed, {len(open_ones)} not judged."]
    if judged:
        lines += ["", "| case | Problem | target | found | |", "|---|---|---|---|---|"]
        for record, bar in sorted(judged, key=lambda each: each[1]["met"]):
            lines.append(f"| {record['group']} | `{name_of(record)}` | {bar['bar']} | {bar['value'] or 0:.3g} | "
                         f"{'met' if bar['met'] else '**missed**'} |")
    reasons = {}
    for record, text in open_ones:
        target, _, reason = text.partition(": ")
        reasons.setdefault((record["group"], target, reason), []).append(record)
    if reasons:
        lines += ["", "| not judged | target | cases | why |", "|---|---|---|---|"]
        lines += [f"| {group} | {target} | {len(members)} | {reason} |" for (group, target, reason), members in reasons.items()]
    return lines


def reading(record, field, form):
    value = record.get(field)
    return "" if not value else format(value["median"], form)


def case_lines(group, members):
    names = [name for name in PEERS if any(name in record["ratios"] for record in members)]
    lines = ["", f"### {group}", "",
             "| Problem | who | median | p10 to p90 | TFLOP/s | of cuBLAS | " + "".join(f"over {name} | " for name in names) +
             "GB/s | host | MHz | W | °C | error / bound |",
             "|---|---|---|---|---|---|" + "---|" * len(names) + "---|---|---|---|---|---|"]
    for record in members:
        who = record["kernel"].removeprefix("attention_fwd.") + (f" ({record['note']})" if record.get("note") else "")
        spread = f"{seconds_text(record['p10_s'])} to {seconds_text(record['p90_s'])}" if is_timed(record) else ""
        share = "" if record["share"] is None else f"{100 * record['share']:.1f} %"
        ratios = "".join(f"{number(record['ratios'].get(name), '.3f')} | " for name in names)
        lines.append(f"| `{name_of(record)}` | {who} | {seconds_text(record['median_s']) if is_timed(record) else record['state']} | {spread} | "
                     f"{number(record['tflops'], '.1f')} | {share} | {ratios}{number(record['gbps'], '.0f')} | "
                     f"{seconds_text(record['host_s']) if record['host_s'] else ''} | {reading(record, 'sm_mhz', '.0f')} | "
                     f"{reading(record, 'power_w', '.0f')} | {reading(record, 'temperature_c', '.0f')} | {number(record['error_ratio'], '.2g')} |")
    return lines


def error_lines(records):
    rows = [record for record in records if record["group"].startswith("error") and record["state"] in ("timed", "simulated")]
    if not rows:
        return []
    others = sorted({name for record in rows for name in record.get("rms_errors", {})})
    lines = ["", "## Errors on inputs with outliers", "",
             "RMS distance from fp64; q, k and v of N(0, 1) + N(0, 100) · Bernoulli(0.001), f16 (arXiv:2407.08608, section 4.3). "
             "`standard`: unfused attention whose scores and probabilities are f16.", "",
             "| Problem | attend | " + "".join(f"{name} | " for name in others) + "rms of the answer |",
             "|---|---|" + "---|" * len(others) + "---|"]
    for record in rows:
        found = "".join(f"{number(record.get('rms_errors', {}).get(name), '.2e')} | " for name in others)
        lines.append(f"| `{name_of(record)}` | {number(record['rms_error'], '.2e')} | {found}{number(record['rms_value'], '.3f')} |")
    return lines


def markdown(header, records, checks, simulated):
    lines = head_lines(header, records, simulated) + check_lines(checks) + target_lines(records) + error_lines(records)
    lines += ["", "## Cases"]
    groups = {}
    for record in sorted(records, key=lambda each: (each["case"], ROLES.index(each["role"]))):
        if record["state"] in ("timed", "simulated") and not record["group"].startswith("error"):
            groups.setdefault(record["group"], []).append(record)
    for group, members in groups.items():
        lines += case_lines(group, members)
    left_out = [record for record in records if record["state"] not in ("timed", "simulated")]
    if left_out:
        lines += ["", "## Not measured", "", "| case | Problem | kernel | | why |", "|---|---|---|---|---|"]
        lines += [f"| {record['group']} | `{name_of(record)}` | {record['kernel']} | {record['state']} | {record.get('reason', '')} |"
                  for record in left_out]
    absent = {}
    for record in records:
        for name, reason in record.get("absent", {}).items():
            absent.setdefault((name, reason), set()).add(record["group"])
    if absent:
        lines += ["", "## Absent", "", "| who | in | why |", "|---|---|---|"]
        lines += [f"| {name} | {', '.join(sorted(groups))} | {reason} |" for (name, reason), groups in sorted(absent.items())]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------- pictures

COLORS = {"attend": "#d62728", "cudnn": "#1f77b4", "flash2": "#7f7f7f", "flash3": "#2ca02c"}


def height_of(record, simulated):
    return record["error_ratio"] if simulated else record["tflops"]


def sweeps(records, simulated):
    """{group: {who: {length: height}}} of the groups whose cases differ by their length."""
    groups = {}
    for record in records:
        if height_of(record, simulated) is None or not record["group"].startswith(SWEEPS):
            continue
        lengths = fields_of(record.get("stands_for", record["problem"])).get("sq", "")
        if not lengths.isdigit():
            continue
        who = "attend" if record["role"] == "attend" else record["kernel"]
        panel = groups.setdefault(record["group"], {})
        panel.setdefault(who, {})[int(lengths)] = height_of(record, simulated)
        if record["role"] == "attend" and record.get("cublas_tflops"):
            panel.setdefault("cuBLAS product", {})[int(lengths)] = record["cublas_tflops"]
    return {group: panel for group, panel in groups.items() if len(panel.get("attend", {})) > 1}


def plain(axis):
    axis.grid(True, axis="y", color="#dddddd", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def draw_sweeps(records, title, simulated, path, plt):
    panels = sweeps(records, simulated)
    if not panels:
        return False
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.4 * columns, 3.4 * rows + 0.8), squeeze=False)
    handles = {}
    for axis, (group, panel) in zip(axes.flat, panels.items()):
        for who, line in panel.items():
            points = sorted(line.items())
            style = {"linestyle": "--", "color": "black", "linewidth": 1} if who == "cuBLAS product" else {"marker": "o", "markersize": 4}
            if who in COLORS:
                style["color"] = COLORS[who]
            handles[who], = axis.plot([n for n, _ in points], [height for _, height in points], label=who, **style)
        lengths = sorted({n for line in panel.values() for n in line})
        axis.set_xscale("log", base=2)
        axis.set_xticks(lengths)
        axis.set_xticklabels([f"{n // 1024}k" if n >= 1024 else str(n) for n in lengths], fontsize=8)
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_title(group, fontsize=10)
        plain(axis)
    for axis in axes.flat[len(panels):]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("error / bound (nothing is timed)" if simulated else "TFLOP/s")
    figure.suptitle(title, fontsize=12)
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=len(handles), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 0.97))
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def draw_ablation(records, title, simulated, path, plt):
    rows = [record for record in records if record["group"].startswith("ablation") and height_of(record, simulated) is not None]
    if not rows:
        return False
    figure, axis = plt.subplots(figsize=(9, 1.4 + 0.28 * len(rows)))
    labels = [f"{record['group']}: {record['kernel'].removeprefix('attention_fwd.')}" for record in rows]
    colors = ["#d62728" if record["role"] == "attend" else "#1f77b4" if record["role"] == "peer" else "#ff9896" for record in rows]
    axis.barh(range(len(rows)), [height_of(record, simulated) for record in rows], color=colors, height=0.7)
    axis.set_yticks(range(len(rows)))
    axis.set_yticklabels(labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("error / bound (nothing is timed)" if simulated else "TFLOP/s")
    axis.set_title(f"{title}: rows for comparison", fontsize=11)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def draw_targets(records, title, _, path, plt):
    rows = {}
    for record in records:
        for bar in record["bars"]:
            rows.setdefault(f"{record['group']}: {bar['bar']}", []).append((min(margin(bar), 2.0), bar["met"]))
    if not rows:
        return False
    figure, axis = plt.subplots(figsize=(10, 1.6 + 0.3 * len(rows)))
    for at, dots in enumerate(rows.values()):
        axis.scatter([value for value, _ in dots], [at] * len(dots), c=["#2ca02c" if met else "#d62728" for _, met in dots], s=26)
    axis.axvline(1, color="black", linewidth=1)
    axis.set_yticks(range(len(rows)))
    axis.set_yticklabels(rows, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("found over target (1 is just met, 2 or more drawn at 2)")
    axis.set_title(f"{title}: targets, green met, red missed", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="JSON lines of attend_bench_cuda")
    parser.add_argument("--checks", help="what scripts/gpu-report found before, a JSON object")
    parser.add_argument("--out", help="folder for what is written")
    options = parser.parse_args()
    try:
        header, records = read(options.file)
        checks = {}
        if options.checks:
            with open(options.checks, encoding="utf-8") as file:
                checks = json.load(file)
    except (BadLine, OSError, json.JSONDecodeError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    if not records:
        print(f"report: {options.file} holds no record, expected lines of attend_bench_cuda --json", file=sys.stderr)
        return 2
    simulated = any(record["simulated"] for record in records)
    folder = options.out or os.path.dirname(os.path.abspath(options.file))
    os.makedirs(folder, exist_ok=True)
    table = os.path.join(folder, "report.md")
    with open(table, "w", encoding="utf-8") as file:
        file.write(markdown(header, records, checks, simulated))
    plt = pyplot(__file__)
    print(table)
    if plt is None:
        return 1
    title = f"attend on {header.get('device') or records[0]['machine']}" + (" (simulated, nothing is timed)" if simulated else "")
    for draw, end in ((draw_sweeps, ""), (draw_ablation, "-ablation"), (draw_targets, "-targets")):
        path = os.path.join(folder, f"report{end}.png")
        if draw(records, title, simulated, path, plt):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
