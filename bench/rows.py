"""Rows of figures, beside their budgets: as a table for people, as JSON for tools."""
import statistics

from budgets import BUDGETS, PEERS

HIDDEN = {"count"}


def summary(samples):
    """Of few samples: every one is worth seeing, and no percentile beyond what they can tell."""
    ordered = sorted(samples)
    return {"p50": statistics.median(ordered), "min": ordered[0], "max": ordered[-1], "count": len(ordered)}


class Rows:
    def __init__(self):
        self.all = []

    def add(self, name, unit, values, what):
        budget = BUDGETS.get(name)
        if budget and not set(budget) <= set(values):
            raise ValueError(f"{name} has the figures {sorted(values)}, but its budget is of {sorted(budget)}")
        self.all.append({
            "name": name, "unit": unit, "values": values, "what": what, "budget": budget,
            "ratio": {figure: values[figure] / bar for figure, bar in budget.items()} if budget else None})

    def missing(self):
        """Budgets that nothing was measured against."""
        return sorted(set(BUDGETS) - {row["name"] for row in self.all})

    def within(self):
        return [row for row in self.all if row["ratio"] and max(row["ratio"].values()) <= 1]

    def beyond(self):
        return [row for row in self.all if row["ratio"] and max(row["ratio"].values()) > 1]


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    if 0 < value < 0.01:
        return f"{value:.4f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows, paint=lambda text, good: text):
    for row in rows.all:
        figures = "  ".join(f"{figure} {number(value)}" for figure, value in row["values"].items() if figure not in HIDDEN)
        yield f"  {row['name']:<28} {figures} {row['unit']}"
        if row["budget"]:
            for figure, bar in row["budget"].items():
                ratio = row["ratio"][figure]
                said = "within" if ratio <= 1 else "BEYOND"
                text = f"{figure} is {number(ratio)} of the budget of {number(bar)} {row['unit']}: {said}"
                yield f"  {'':<28} {paint(text, ratio <= 1)}"
            if row["name"] in PEERS:
                yield f"  {'':<28} beside: {PEERS[row['name']]}"
        yield f"  {'':<28} {row['what']}"
