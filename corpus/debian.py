"""Debian's package descriptions, read through apt: key, text, section and priority of every package in the lists.

apt keeps the package records and the long descriptions in separate lists, and many machines are set not to fetch the
second. So the lists are fetched into a folder of our own, with the machine's own sources and keys; the machine's apt is
left as it is.
"""

import os
import pathlib
import re
import shutil
import subprocess

TEXT_CHARS_MAX = 1000


def packages(lists):
    """Rows {key, text, section, priority}, sorted by key, one a name; apt's lists are fetched into the folder if missing.

    RuntimeError says what is needed where there is no apt or it cannot fetch.
    """
    longs = descriptions(fetched(lists))
    rows = {}
    for record in records(dump(lists)):
        rows.setdefault(record["Package"], row(record, longs))
    return [rows[key] for key in sorted(rows)]


def options(lists):
    """apt's options for lists in a folder of our own, uncompressed, with the English descriptions."""
    values = {
        "Dir::State::lists": lists,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "en",
        "Acquire::GzipIndexes": "false",
    }
    return [part for name, value in values.items() for part in ("-o", f"{name}={value}")]


def fetched(lists):
    """The paths of the long descriptions' lists."""
    lists = pathlib.Path(lists)
    if not found(lists):
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        run("apt-get", "update", "-qq", *options(lists))
    if not found(lists):
        raise RuntimeError("apt gave no English descriptions: are Debian's main sources in its list of sources?")
    return found(lists)


def found(lists):
    return sorted(lists.glob("*_i18n_Translation-en"))


def dump(lists):
    return run("apt-cache", "dumpavail", *options(lists))


def run(command, *arguments):
    if shutil.which(command) is None:
        raise RuntimeError(f"{command} is missing: the corpus is read through apt, on Debian or in a Debian container")
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    done = subprocess.run([command, *arguments], capture_output=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command} {arguments[0]} failed; it needs Debian's mirrors or a mirror in its sources: {tail(done)}")
    return done.stdout.decode("utf-8", "replace")


def tail(done):
    return done.stderr.decode("utf-8", "replace").strip()[-400:]


def records(text):
    """The stanzas of a control file as dicts; continuation lines keep their line breaks."""
    for stanza in text.split("\n\n"):
        fields = {name: value for name, value in re.findall(r"^([^\s:]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.M)}
        if "Package" in fields:
            yield fields


def descriptions(paths):
    """Full descriptions by the digest that a package's record names."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    return {r["Description-md5"]: r["Description-en"] for text in texts for r in records(text) if "Description-en" in r}


def row(record, longs):
    full = longs.get(record.get("Description-md5"), record.get("Description", ""))
    return {
        "key": record["Package"],
        "text": prose(full) or record["Package"],
        "section": record.get("Section", "unknown"),
        "priority": record.get("Priority", "unknown"),
    }


def prose(description):
    """The synopsis, a line break, then the long description with its lines joined; lists keep theirs.

    At most TEXT_CHARS_MAX characters, cut at a space.
    """
    synopsis, _, body = description.partition("\n")
    paragraphs = re.split(r"^ \.[ \t]*$", body, flags=re.M)
    joined = [re.sub(r"\n (?=\S)", " ", paragraph).strip() for paragraph in paragraphs]
    lines = [" ".join(line.split()) for part in [synopsis, *joined] for line in part.splitlines()]
    return shortened("\n".join(line for line in lines if line), TEXT_CHARS_MAX)


def shortened(text, chars):
    if len(text) <= chars:
        return text
    cut = text[: chars + 1]
    return cut[: max(cut.rfind(" "), cut.rfind("\n"))].rstrip() if " " in cut else text[:chars]
