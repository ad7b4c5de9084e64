"""Lines of the result: what was measured in every round, its median and spread, and whether it is where it should be."""
import statistics


class Line:
    """One figure. `values`: one a round. `least` / `most`: the bound of the median, if there is one. `note`: what a
    reader needs beside it, such as the rates that a ratio was made of. `curve`: (name, x) of the curve it is a point of."""

    def __init__(self, title, values, least=None, most=None, note="", form="{:.2f}", curve=None):
        self.title, self.values, self.least, self.most, self.note, self.form = title, list(values), least, most, note, form
        self.curve = curve

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def good(self):
        return (self.least is None or self.median >= self.least) and (self.most is None or self.median <= self.most)

    def cells(self):
        show = self.form.format
        bound = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}" if self.most is not None else ""
        spread = f"{show(min(self.values))} to {show(max(self.values))}" if len(self.values) > 1 else ""
        verdict = "" if not bound else "yes" if self.good else "**no**"
        return [self.title, show(self.median), spread, bound, verdict, self.note]


HEAD = ["measure", "median", "spread", "bound", "met", "made of"]


def markdown(lines):
    rows = [HEAD, ["---"] * len(HEAD)] + [line.cells() for line in lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def columns(lines):
    rows = [HEAD] + [[cell.replace("**", "") for cell in line.cells()] for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def bars(points, unit="", width=50):
    """A curve as text: [(name, value)]."""
    most = max(value for _, value in points) or 1
    left = max(len(str(name)) for name, _ in points)
    return "\n".join(f"    {str(name):>{left}}  {value:10.3f} {unit}  {'#' * round(width * value / most)}"
                     for name, value in points)
