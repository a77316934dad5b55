"""Invoices as a scanner would give them, and what reads them. Plain Python: nothing here knows of Orrery."""
import difflib
import random
import re

VENDORS = ["Adler & Sohn", "Birchwood Supplies", "Castellan Freight", "Dovetail Joinery", "Elm Street Press"]
ARTICLES = [f"{size} {colour} {thing}" for size in ("small", "large", "heavy") for colour in ("black", "yellow", "oak", "steel")
            for thing in ("binder", "bracket", "drawer", "hinge", "lamp", "shelf")]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
LOOKS_LIKE = {"l": "1", "o": "0", "e": "c", "n": "r", "h": "b"}  # what scanners mistake
TORN_EVERY = 97  # of so many documents one is torn: its sums are missing


class Unreadable(ValueError):
    """Says what is missing or does not add up."""


def lines_of(number):
    """[(article, count, cents each)] of a document: what is true, and what a reader must find."""
    draw = random.Random(number)
    return [(draw.choice(ARTICLES), draw.randint(1, 9), draw.randint(100, 20000)) for _ in range(draw.randint(6, 14))]


def total_of(number):
    """Cents, with the tax."""
    net = sum(count * cents for _, count, cents in lines_of(number))
    return net + net * 19 // 100


def is_torn(number):
    return number % TORN_EVERY == TORN_EVERY // 2


def generate(number):
    """The text of document `number`: always the same for the same number."""
    draw = random.Random(-number - 1)
    money = lambda cents: f"{cents // 100},{cents % 100:02d}"
    scanned = lambda text: "".join(LOOKS_LIKE.get(c, c) if draw.random() < 0.12 else c for c in text)
    net = sum(count * cents for _, count, cents in lines_of(number))
    lines = [f"   {draw.choice(VENDORS)}", "", f" Invoice no. {number:06d}",
             f" Date: {draw.randint(1, 28)} {draw.choice(MONTHS)} {draw.randint(2019, 2026)}", ""]
    lines += [f" {count:>2} x {scanned(article):<24} at {money(cents):>10}   {money(count * cents):>12}" for article, count, cents in lines_of(number)]
    lines += ["", f" Net {money(net):>46}", f" VAT 19% {money(net * 19 // 100):>42}", f" TOTAL {money(net + net * 19 // 100):>44}"]
    return "\n".join(lines[:-4] if is_torn(number) else lines)


def extract(text):
    """The fields of an invoice: {"number", "vendor", "date", "lines": [[article, count, cents]], "cents"}. Raises Unreadable."""
    cents = lambda written: int(written.replace(",", ""))
    field = lambda pattern, what: (re.search(pattern, text, re.M) or missing(what))
    number = field(r"Invoice no\. (\d+)", "number")[1]
    day, month, year = field(r"Date: (\d+) (\w+) (\d+)", "date").groups()
    lines = []
    for count, scanned, each, whole in re.findall(r"^ +(\d+) x (.+?) +at +([\d,]+) +([\d,]+)$", text, re.M):
        article = difflib.get_close_matches(scanned, ARTICLES, 1, 0.5) or missing(f"article in {scanned!r}")
        if int(count) * cents(each) != cents(whole):
            raise Unreadable(f"{count} times {each} is not {whole}")
        lines.append([article[0], int(count), cents(each)])
    net, tax, total = (cents(field(rf"^ {word} +([\d,]+)$", word)[1]) for word in ("Net", "VAT 19%", "TOTAL"))
    if net != sum(count * each for _, count, each in lines) or net + tax != total:
        raise Unreadable("the sums do not add up")
    return {"number": number, "vendor": text.split("\n", 1)[0].strip(), "date": f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}",
            "lines": lines, "cents": total}


def missing(what):
    raise Unreadable(f"no {what} found")
