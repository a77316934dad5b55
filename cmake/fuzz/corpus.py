"""The inputs that are kept of a fuzz target, in one file beside it: an input a line, bytes as they are but for \\\\, \\n and \\xHH.

A line that begins with `# ` says what the next input is: such inputs are kept for ever. Those without are the least that reach what is known to be
reachable, and `./dev fuzz --minimise` chooses them anew."""
import re

ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|([\\n]))")


def to_line(data):
    """bytes -> the line, without its end. No input begins with '#', so that it is not taken for a comment; the empty one has no line."""
    out = []
    for at, byte in enumerate(data):
        if byte == 0x0A:
            out.append("\\n")
        elif byte == 0x5C:
            out.append("\\\\")
        elif byte < 0x20 or byte > 0x7E or (at == 0 and byte == 0x23):
            out.append(f"\\x{byte:02x}")
        else:
            out.append(chr(byte))
    return "".join(out)


def from_line(line):
    raw = line.encode("ascii")
    if b"\\" in ESCAPE.sub(b"", raw):
        raise ValueError(f"only \\\\, \\n and \\xHH may follow a backslash: {line[:80]}")
    return ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else (b"\n" if m[2] == b"n" else b"\\"), raw)


def parse(text):
    """[(what it is or None, bytes)] of a corpus file."""
    inputs, name = [], None
    for line in text.splitlines():
        if line.startswith("# "):
            name = line[2:]
        elif line:
            inputs.append((name, from_line(line)))
            name = None
    return inputs


def format(inputs):
    """The text of a corpus file: the named inputs in their order, then the others, shortest first."""
    named = [(name, data) for name, data in inputs if name]
    others = sorted({data for name, data in inputs if not name and data} - {data for _, data in named}, key=lambda each: (len(each), each))
    return "".join(f"# {name}\n{to_line(data)}\n" for name, data in named) + "".join(to_line(each) + "\n" for each in others)
