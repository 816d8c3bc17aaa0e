#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the code blocks out of a Markdown file, so that what the reader copies is what was compiled and run.

usage: snippets.py README.md FOLDER      writes FOLDER/snippet.cpp, snippet.c and commands.sh

Fenced blocks marked cpp, c and sh; there must be at least one of each. `build/attend` in a command becomes $ATTEND_TOOL, and
files written to build/ go to $ATTEND_OUT, so that the commands run in any build folder. Lines that call make are left out: the
tests are run by them.
"""
import pathlib
import re
import sys


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    text, folder = pathlib.Path(arguments[0]).read_text(), pathlib.Path(arguments[1])
    blocks = {"cpp": [], "c": [], "sh": []}
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.S | re.M):
        if language in blocks:
            blocks[language].append(body)
    for language, found in blocks.items():
        if not found:
            print(f"{arguments[0]}: no code block marked {language}")
            return 1
    commands = [line for line in "".join(blocks["sh"]).splitlines() if line.startswith("build/attend ")]
    if not commands:
        print(f"{arguments[0]}: no command that begins with build/attend")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "snippet.cpp").write_text("".join(blocks["cpp"]))
    (folder / "snippet.c").write_text("".join(blocks["c"]))
    lines = [re.sub(r"(?<= )build/", '"$ATTEND_OUT"/', line.replace("build/attend ", '"$ATTEND_TOOL" ')) for line in commands]
    (folder / "commands.sh").write_text("set -x\n" + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
