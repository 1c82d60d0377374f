#!/usr/bin/python3
"""Manual pages from what the programs say of themselves, so that no page is behind its program.

    make_man.py PROGRAM SECTION VERSION [EXTRA.roff] > page
"""
import pathlib
import re
import subprocess
import sys


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("\n.", "\n\\&.")


def help_of(program, words):
    text = subprocess.run([program, *words, "--help"], capture_output=True, text=True,
                          check=True).stdout
    sections, title = {"": []}, ""
    for line in text.splitlines():
        if re.fullmatch(r"\S[^:]*:", line):
            title = line[:-1]
            sections[title] = []
        elif not line.startswith("Usage:"):
            sections[title].append(line)
    return sections


def entries(lines):
    """(term, description) of a help section's lines."""
    out = []
    for line in lines:
        if re.match(r"  \S", line):
            term, _, rest = re.sub(r"\s{2,}", "\t", line.strip(), count=1).partition("\t")
            out.append([term, rest])
        elif line.strip() and out:
            out[-1][1] = f"{out[-1][1]} {line.strip()}".strip()
    return out


def options(sections):
    out = []
    for title, lines in sections.items():
        if title in ("", "Subcommands"):
            continue
        for term, text in entries(lines):
            if not term.startswith("-h,"):
                out.append(f".TP\n.B {escape(term)}\n{escape(text)}")
    return out


def commands(program, words, sections, out):
    for name, _ in entries(sections.get("Subcommands", [])):
        inner = help_of(program, [*words, name])
        title = " ".join([*words, name])
        out.append(f".SS {escape(title)}\n{escape(' '.join(inner['']).strip())}")
        out += options(inner)
        commands(program, [*words, name], inner, out)


def main():
    program, section, version = sys.argv[1:4]
    name = pathlib.Path(program).name
    top = help_of(program, [])
    about = [line for line in top[""] if line]
    short = re.sub(rf"^{name}:? ", "", about[0]).rstrip(".")
    out = [f'.TH {name.upper()} {section} "" "saed {version}"', ".SH NAME",
           f"{name} \\- {escape(short.split(':')[0])}", ".SH SYNOPSIS", f".B {name}",
           "[options]" + (" command" if "Subcommands" in top else ""), ".SH DESCRIPTION"]
    out += [escape(line) + "\n" for line in about]
    out += [".SH OPTIONS", *options(top)]
    if "Subcommands" in top:
        out.append(".SH COMMANDS")
        commands(program, [], top, out)
    for extra in sys.argv[4:]:
        out.append(pathlib.Path(extra).read_text().rstrip())
    print("\n".join(out))


main()
